"""Libraries and their folder trees: where in a workspace an asset lies. Folders are rows, never key prefixes."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from datetime import datetime
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Integer, Row, ScalarSelect, bindparam, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import InstrumentedAttribute

from portal import audit
from portal.assets.models import Folder, Library
from portal.db import db, new_id, now, transaction
from portal.errors import Conflict, Invalid, NotFound
from portal.statements import directly
from portal.tenancy.service import Member

DEFAULT_NAME = "Files"
LONGEST_LIBRARY_NAME = 200  # characters: the width of the column
LONGEST_FOLDER_NAME = 255
Made = TypeVar("Made", Library, Folder)
NIL = UUID(int=0)
_L = Library.__table__.c
# What a page lists beside others, as a part of its one statement: [[id, name], …] as JSON.
NAMES = (
    "SELECT json_agg(json_build_array(l.id, l.name)) "
    "FROM (SELECT id, name FROM libraries WHERE workspace_id = :workspace ORDER BY id LIMIT 100) l"
)
# A statement that is made once, without the cost of objects.
_LISTED = (
    select(_L.id, _L.name, _L.created_at)
    .where(_L.workspace_id == bindparam("workspace"), _L.id > bindparam("after"))
    .order_by(_L.id)
    .limit(bindparam("most", type_=Integer))
)


def open_library(tenant_id: UUID, workspace_id: UUID, name: str = DEFAULT_NAME) -> Library:
    """Add a library; belongs inside the caller's transaction.

    Raises ``Invalid`` for a name that can't be one, ``Conflict`` when the workspace has one of this name.
    """
    library = _insert(
        Library,
        tenant_id=tenant_id,
        workspace_id=workspace_id,
        name=_checked(name, LONGEST_LIBRARY_NAME),
    )
    if library is None:
        raise Conflict(f"This workspace has a library named {name.strip()} already. Choose another name.", field="name")
    return library


def open_folder(tenant_id: UUID, library: Library, parent_id: UUID | None, name: str) -> Folder:
    """Add a folder to a library (``parent_id`` None: at its top); belongs inside the caller's transaction.

    Raises ``NotFound`` when the parent is not a folder of this library, ``Invalid`` and ``Conflict`` as libraries do.
    """
    if parent_id is not None and find_folder(library.workspace_id, parent_id).library_id != library.id:
        raise NotFound("There is no such folder in this library.")
    folder = _insert(
        Folder,
        tenant_id=tenant_id,
        workspace_id=library.workspace_id,
        library_id=library.id,
        parent_id=parent_id,
        name=_checked(name, LONGEST_FOLDER_NAME),
    )
    if folder is None:
        raise Conflict(f"There is a folder named {name.strip()} here already. Choose another name.", field="name")
    return folder


def create_library(member: Member, name: str) -> Library:
    """Add a library to the member's workspace. Raises as ``open_library`` does."""
    with transaction(member.tenant_id):
        library = open_library(member.tenant_id, member.workspace, name)
        _record(member, "library.created", library)
        return library


def create_folder(member: Member, name: str, library_id: UUID | None, parent_id: UUID | None) -> Folder:
    """Add a folder to a library (None: the default one) of the member's workspace. Raises as ``open_folder`` does."""
    with transaction(member.tenant_id):
        library = find_library(member.workspace, library_id)
        folder = open_folder(member.tenant_id, library, parent_id, name)
        _record(member, "folder.created", folder)
        return folder


def find_library(workspace_id: UUID, library_id: UUID | None) -> Library:
    """One library of this workspace; None asks for the default one. Raises ``NotFound``."""
    if library_id is None:
        return default_library(workspace_id)
    library = db.session.scalar(select(Library).filter_by(workspace_id=workspace_id, id=library_id))
    if library is None:
        raise NotFound("There is no such library in this workspace.")
    return library


def default_library(workspace_id: UUID) -> Library:
    """Where a file goes when nobody says: the oldest library, which every workspace has from the start."""
    library = db.session.scalar(select(Library).filter_by(workspace_id=workspace_id).order_by(Library.id).limit(1))
    if library is None:
        raise NotFound("This workspace has no library.")
    return library


def first_of(workspace_id: InstrumentedAttribute[UUID]) -> ScalarSelect[UUID]:
    """The id of the default library, as a part of another statement."""
    oldest = select(Library.id).where(Library.workspace_id == workspace_id).order_by(Library.id).limit(1)
    return oldest.scalar_subquery()


def find_folder(workspace_id: UUID, folder_id: UUID) -> Folder:
    """One folder of this workspace. Raises ``NotFound``."""
    folder = db.session.scalar(select(Folder).filter_by(workspace_id=workspace_id, id=folder_id))
    if folder is None:
        raise NotFound("There is no such folder in this workspace.")
    return folder


def list_libraries(
    workspace_id: UUID, *, after: UUID | None = None, limit: int = 100
) -> Sequence[Row[UUID, str, datetime]]:
    """(id, name, created_at) of libraries in the order they were made, at most ``limit``, those after ``after``."""
    return directly(_LISTED, workspace=workspace_id, after=after or NIL, most=limit)


def list_folders(
    workspace_id: UUID, library_id: UUID, parent_id: UUID | None = None, *, after: UUID | None = None, limit: int = 100
) -> list[Folder]:
    """The folders directly below ``parent_id`` (None: at the library's top), paged as libraries are."""
    statement = select(Folder).filter_by(workspace_id=workspace_id, library_id=library_id, parent_id=parent_id)
    if after is not None:
        statement = statement.where(Folder.id > after)
    return list(db.session.scalars(statement.order_by(Folder.id).limit(limit)))


def _record(member: Member, action: str, made: Library | Folder) -> None:
    audit.record(member.tenant_id, member.user_id, action, made.id, workspace_id=member.workspace, name=made.name)


def _insert(model: type[Made], **values: Any) -> Made | None:
    """The new row, or None when a unique constraint has its place taken; leaves the transaction usable."""
    statement = insert(model).values(id=new_id(), created_at=now(), **values).on_conflict_do_nothing().returning(model)
    made: Made | None = db.session.scalar(statement)
    return made


def _checked(name: str, longest: int) -> str:
    name = name.strip()
    if not name:
        raise Invalid("Give it a name.", field="name")
    if len(name) > longest:
        raise Invalid(f"The name has {len(name)} characters; at most {longest} are possible.", field="name")
    if "/" in name or any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in name):
        raise Invalid("The name can't contain / or control characters.", field="name")
    return name
