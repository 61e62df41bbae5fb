"""Commands and queries of libraries, and queries of single folders."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, ScalarSelect, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import InstrumentedAttribute

from portal import audit
from portal.database import db, new_id, now, transaction
from portal.errors import Conflict, NotFound
from portal.folders import folder_names
from portal.folders.models import Folder, Library
from portal.tenancy.service import Member

DEFAULT_NAME = "Files"


def open_library(tenant_id: UUID, workspace_id: UUID, name: str = DEFAULT_NAME) -> Library:
    """Add a library; belongs inside the caller's transaction.

    Raises ``Invalid`` for an invalid name, ``Conflict`` when the workspace has one of this name.
    """
    name = folder_names.checked(name, folder_names.LONGEST_LIBRARY_NAME)
    values = {"id": new_id(), "created_at": now(), "tenant_id": tenant_id, "workspace_id": workspace_id, "name": name}
    # On conflict do nothing: an IntegrityError would abort the caller's transaction.
    library: Library | None = db.session.scalar(
        insert(Library).values(values).on_conflict_do_nothing().returning(Library)
    )
    if library is None:
        raise _taken(name)
    return library


def create_library(member: Member, name: str) -> Library:
    """Add a library to the member's workspace. Raises as ``open_library`` does."""
    with transaction(member.tenant_id):
        library = open_library(member.tenant_id, member.workspace, name)
        _record(member, "library.created", library, name=library.name)
    return library


def rename_library(member: Member, library_id: UUID, name: str, seen_name: str | None = None) -> Library:
    """Give a library another name. Raises ``NotFound``, ``Invalid``; ``Conflict`` when the name is taken, or when
    somebody has renamed it since ``seen_name`` was shown.
    """
    name = folder_names.checked(name, folder_names.LONGEST_LIBRARY_NAME)
    with transaction(member.tenant_id):
        library = db.session.scalar(
            # FOR NO KEY UPDATE: what is inserted into the library meanwhile checks its foreign key, and need not wait.
            select(Library).filter_by(workspace_id=member.workspace, id=library_id).with_for_update(key_share=True)
        )
        if library is None:
            raise NotFound(_("There is no such library in this workspace."))
        if seen_name not in (None, library.name):
            raise Conflict(
                _("Somebody else has renamed this library to “%(name)s” in the meantime.", name=library.name),
                field="name",
            )
        before = library.name
        taken = select(Library.id).filter_by(workspace_id=member.workspace, name=name)
        if db.session.scalar(taken) not in (None, library_id):
            raise _taken(name)
        library.name = name
        try:
            db.session.flush()
        except IntegrityError:  # another request has taken this name since the query above
            raise _taken(name) from None
        if name != before:
            _record(member, "library.renamed", library, name=name, before=before)
    return library


def find_library(workspace_id: UUID, library_id: UUID | None) -> Library:
    """One library of this workspace; None means the default one. Raises ``NotFound``."""
    if library_id is None:
        return default_library(workspace_id)
    library = db.session.scalar(select(Library).filter_by(workspace_id=workspace_id, id=library_id))
    if library is None:
        raise NotFound(_("There is no such library in this workspace."))
    return library


def default_library(workspace_id: UUID) -> Library:
    """The library for files without one: the oldest, which every workspace has from the start."""
    # Ids are UUIDv7: the smallest was made first.
    library = db.session.scalar(select(Library).filter_by(workspace_id=workspace_id).order_by(Library.id).limit(1))
    if library is None:
        raise NotFound(_("This workspace has no library."))
    return library


def first_of(workspace_id: InstrumentedAttribute[UUID]) -> ScalarSelect[UUID]:
    """The id of the default library, as a part of another statement."""
    oldest = select(Library.id).where(Library.workspace_id == workspace_id).order_by(Library.id).limit(1)
    return oldest.scalar_subquery()


def home_of(workspace_id: InstrumentedAttribute[UUID], folder_id: ColumnElement[UUID]) -> ScalarSelect[UUID]:
    """The library of a folder that is not deleted, as a part of another statement."""
    living = (Folder.workspace_id == workspace_id, Folder.id == folder_id, Folder.deleted_at.is_(None))
    return select(Folder.library_id).where(*living).scalar_subquery()


def find_folder(workspace_id: UUID, folder_id: UUID, *, lock: bool = False, deleted_too: bool = False) -> Folder:
    """One folder of this workspace, read anew. ``lock``: nobody else changes it until the transaction ends.

    Raises ``NotFound``, unless ``deleted_too`` for one that was deleted.
    """
    statement = select(Folder).filter_by(workspace_id=workspace_id, id=folder_id)
    if not deleted_too:
        statement = statement.filter_by(deleted_at=None)
    if lock:
        # FOR SHARE: many may put files into a folder at once; a deletion waits for them, and then sees their files.
        statement = statement.with_for_update(read=True)
    folder = db.session.scalar(statement.execution_options(populate_existing=True))
    if folder is None:
        raise no_folder()
    return folder


def no_folder() -> NotFound:
    """The error for a missing or foreign folder."""
    return NotFound(_("There is no such folder in this workspace."))


def list_libraries(workspace_id: UUID, *, after: UUID | None = None, limit: int = 100) -> Sequence[Library]:
    """Libraries in the order they were made, at most ``limit``, those after ``after``."""
    statement = select(Library).filter_by(workspace_id=workspace_id).order_by(Library.id).limit(limit)
    return db.session.scalars(statement if after is None else statement.where(Library.id > after)).all()


def list_folders(
    workspace_id: UUID, library_id: UUID, parent_id: UUID | None = None, *, after: UUID | None = None, limit: int = 100
) -> list[Folder]:
    """The folders directly below ``parent_id`` (None: at the library's top), paged as libraries are."""
    place = {"workspace_id": workspace_id, "library_id": library_id, "parent_id": parent_id, "deleted_at": None}
    statement = select(Folder).filter_by(**place)
    if after is not None:
        statement = statement.where(Folder.id > after)
    return list(db.session.scalars(statement.order_by(Folder.id).limit(limit)))


def _taken(name: str) -> Conflict:
    return Conflict(
        _("This workspace already has a library named “%(name)s”. Choose another name.", name=name), field="name"
    )


def _record(member: Member, action: str, library: Library, **facts: str) -> None:
    audit.record(member.tenant_id, member.user_id, action, library.id, workspace_id=member.workspace, **facts)
