"""The table of lifecycle: the last run of each periodic task."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base
from portal.texts import Text, TextColumn


class PeriodicTaskRun(Base):
    """The last run of one periodic task, of the whole installation. The scheduler's pass is here as ``sweep``.

    ``finished_at`` before ``started_at``: it runs now, or was killed and will run again. ``ok`` and ``message`` are
    those of the last run that ended; ``failures`` counts consecutive failures.
    """

    __tablename__ = "periodic_task_runs"

    name: Mapped[str] = mapped_column(String(60), primary_key=True)
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
    ok: Mapped[bool | None]
    message: Mapped[Text] = mapped_column(TextColumn, default=Text(""))
    failures: Mapped[int] = mapped_column(default=0)
    next_due_at: Mapped[datetime]
