"""What every table is declared with: the base, ids and times, and columns that hold one of a few words."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Enum, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, registry
from uuid6 import uuid7

# Migrations name constraints, and errors are recognised by them: so no name is left to Postgres.
NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Declarative base: every time is a ``timestamptz``, every constraint has a name."""

    registry = registry(
        metadata=MetaData(naming_convention=NAMING), type_annotation_map={datetime: DateTime(timezone=True)}
    )


def new_id() -> UUID:
    """A UUIDv7 (RFC 9562): sorts by the time it was made, so that new rows lie together in an index."""
    return UUID(int=uuid7().int)


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def zulu(moment: datetime) -> str:
    """A moment as everything we send writes it: ISO 8601 in UTC, whatever zone the value carries."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class Identified:
    """Mixin: a UUIDv7 primary key and the time of creation."""

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    created_at: Mapped[datetime] = mapped_column(default=now)


def choice(kind: type[StrEnum], name: str) -> Enum:
    """A column type for a ``StrEnum``: text with a named CHECK, holding the values.

    Not an enum of Postgres: another value there can't be added and used in one transaction, so not in one migration.
    """
    return Enum(kind, name=name, native_enum=False, create_constraint=True, length=20, values_callable=_values)


def _values(kind: type[StrEnum]) -> list[str]:
    return [member.value for member in kind]


def states_before(model: Any, to: StrEnum) -> list[StrEnum]:
    """The states from which a row may come to state ``to``, by ``model.TRANSITIONS``."""
    return [state for state, targets in model.TRANSITIONS.items() if to in targets]
