"""The forms of the operations page, read and checked."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from flask_babel import gettext as _
from werkzeug.datastructures import MultiDict

from portal import sizes
from portal.errors import Invalid
from portal.operations.service import TemporaryLimit

Form = MultiDict[str, str]


def read_temporary_limit(form: Form) -> TemporaryLimit:
    """Raises ``Invalid`` for the day or the limit."""
    try:
        day = datetime.strptime(form.get("until", ""), "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise Invalid(_("Enter the day as in 2026-12-31."), field="until") from None
    return TemporaryLimit(form.get("slug", ""), sizes.parse(form.get("limit", "")), _end_of(day))


def _end_of(day: datetime) -> datetime:
    return datetime.combine(day.date() + timedelta(days=1), time(), UTC)
