"""Tables of identity: people, their sessions and API tokens. Global: a person belongs to any number of tenants."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from flask_security.core import RoleMixin, UserMixin
from sqlalchemy import ColumnElement, ForeignKey, Index, String, Uuid, func, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.hybrid import hybrid_property
from sqlalchemy.orm import Mapped, mapped_column

from portal.database import Base, Identified, now


class User(Identified, UserMixin, Base):  # type: ignore[misc]  # the mixin calls an id an int; ours is a UUID
    """One login. ``fs_uniquifier`` is Flask-Security's name for a person; what a cookie names is a ``Session``."""

    __tablename__ = "users"
    __table_args__ = (Index("uq_users_email_lower", func.lower(text("email")), unique=True),)

    email: Mapped[str] = mapped_column(String(254))
    name: Mapped[str] = mapped_column(String(200), default="")
    password: Mapped[str | None] = mapped_column(String(255))
    active: Mapped[bool] = mapped_column(default=True)
    is_operator: Mapped[bool] = mapped_column(default=False)
    language: Mapped[str | None] = mapped_column(String(20))  # a tag (BCP 47); None: what the browser asks for
    fs_uniquifier: Mapped[str] = mapped_column(String(64), unique=True)

    @hybrid_property
    def shown_name(self) -> str:
        """The name, or the e-mail address of somebody who gave none."""
        return self.name or self.email

    @shown_name.inplace.expression
    @classmethod
    def _shown_name(cls) -> ColumnElement[str]:
        return func.coalesce(func.nullif(cls.name, ""), cls.email)

    roles: ClassVar[list[RoleMixin]] = []  # type: ignore[misc]  # rights come from memberships (portal.tenancy), not from Flask-Security


class Session(Identified, Base):
    """That somebody is logged in with one browser: of its cookie's secret only the SHA-256 is kept.

    ``address`` is where it was last used from, ``device`` a few words such as "Firefox on Windows".
    """

    __tablename__ = "sessions"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    last_seen_at: Mapped[datetime] = mapped_column(default=now)
    ended_at: Mapped[datetime | None]
    proved_at: Mapped[datetime | None] = mapped_column(default=now)  # when the password was entered last
    address: Mapped[str] = mapped_column(String(45))
    device: Mapped[str] = mapped_column(String(60))


class ApiToken(Identified, Base):
    """A bearer token: only its SHA-256 is kept, ``hint`` are its first characters for recognition."""

    __tablename__ = "api_tokens"

    user_id: Mapped[UUID] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(100))
    hint: Mapped[str] = mapped_column(String(12))
    token_hash: Mapped[str] = mapped_column(String(64), unique=True)
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]
    # None: everything that its person may do, everywhere. Tokens from before there were scopes are such.
    scopes: Mapped[list[str] | None] = mapped_column(ARRAY(String(20)))
    workspace_ids: Mapped[list[UUID] | None] = mapped_column(ARRAY(Uuid))
