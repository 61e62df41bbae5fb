"""The folders of a page: the breadcrumbs to the current folder and the folders in it. One statement a page.

Lists are sorted by name without regard to case, and paged by keyset: the last name that was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, Integer, Select, String, Uuid, bindparam, cast, func, null, select, tuple_
from sqlalchemy.dialects.postgresql import aggregate_order_by

from portal.database import db
from portal.errors import NotFound
from portal.folders.models import Folder, Library
from portal.folders.service import path_above
from portal.web.paging import Paging, cut

SHOWN = 60  # folders of one page


class Named(NamedTuple):
    """A library or a folder, as a page names it."""

    id: str
    name: str


class Breadcrumbs(NamedTuple):
    """A folder and the folders above it. ``path`` begins at the top of the library, and is empty there."""

    library: Named
    path: tuple[Named, ...]

    @property
    def folder(self) -> Named | None:
        """The folder, or None at the top of the library."""
        return self.path[-1] if self.path else None

    @property
    def parent(self) -> Named | None:
        """The folder above it, or None when that is the top of the library."""
        return self.path[-2] if len(self.path) > 1 else None

    @property
    def here(self) -> str:
        """As forms send it: ``folder:ID``, or ``library:ID`` at the top."""
        return f"folder:{self.path[-1].id}" if self.path else f"library:{self.library.id}"

    @property
    def above(self) -> str:
        """The folder above it, as forms send it; at the top of a library that library."""
        return f"folder:{self.path[-2].id}" if len(self.path) > 1 else f"library:{self.library.id}"

    @property
    def name(self) -> str:
        """The name of the folder, or of the library at its top."""
        return self.path[-1].name if self.path else self.library.name


def _statement(*, at_top: bool, goes_on: bool) -> Select[str, str, list[list[str]] | None, list[list[str]] | None]:
    """One statement for each case: a condition on a parameter that may be null can't use the index of names."""
    workspace_id, after = bindparam("workspace", type_=Uuid()), bindparam("after", type_=String())
    below = select(Folder.id, Folder.name).where(Folder.library_id == Library.id, Folder.deleted_at.is_(None))
    if at_top:
        library_id: Any = bindparam("library", type_=Uuid())
        below = below.where(Folder.parent_id.is_(None))
        breadcrumbs: Any = null()
    else:
        folder_id = bindparam("folder", type_=Uuid())
        path = path_above(workspace_id, folder_id)
        library_id = select(path.c.library_id).where(path.c.step == 1).scalar_subquery()
        below = below.where(Folder.parent_id == folder_id)
        breadcrumbs = select(_names(path.c.id, path.c.name, path.c.step.desc())).scalar_subquery()
    if goes_on:
        below = below.where(tuple_(Folder.name_key, Folder.name) > tuple_(func.lower(after), after))
    below = below.order_by(Folder.name_key, Folder.name).limit(bindparam("most", type_=Integer()))
    few = below.correlate(Library).subquery()
    # Breadcrumbs and folders come as JSON in one row: two lists of different lengths in one round trip.
    return select(
        cast(Library.id, String),
        Library.name,
        breadcrumbs.label("path"),
        select(func.json_agg(func.json_build_array(few.c.id, few.c.name))).scalar_subquery().label("folders"),
    ).where(Library.workspace_id == workspace_id, Library.id == library_id)


def _names(folder_id: ColumnElement[UUID], name: ColumnElement[str], order: ColumnElement[Any]) -> ColumnElement[Any]:
    return func.json_agg(aggregate_order_by(func.json_build_array(folder_id, name), order))


# Made once: a page of the gallery runs one of them.
_BROWSE = {(top, on): _statement(at_top=top, goes_on=on) for top in (True, False) for on in (True, False)}


def browse(
    workspace_id: UUID, library_id: UUID | None, folder_id: UUID | None, paging: Paging
) -> tuple[Breadcrumbs, Sequence[Named], str | None]:
    """The breadcrumbs, one page of the folders there, and the cursor of the next.

    Without ``folder_id`` the top of the library, which must be named then. Raises ``NotFound``, also when the folder
    is in another library.
    """
    after = paging.after[0] if paging.after else None
    values: dict[str, Any] = {"workspace": workspace_id, "most": paging.limit + 1}
    values |= {"library": library_id} if folder_id is None else {"folder": folder_id}
    rows = db.session.execute(
        _BROWSE[folder_id is None, after is not None], {**values, **({"after": after} if after else {})}
    ).all()
    # A folder of another library is missing, too: the address that names both is wrong.
    if not rows or library_id not in (None, UUID(rows[0].id)):
        raise NotFound(_("There is no such folder or library in this workspace."))
    (row,) = rows
    spot = Breadcrumbs(Named(row.id, row.name), tuple(Named(*each) for each in row.path or ()))
    folders, cursor = cut([Named(*each) for each in row.folders or ()], paging, key=lambda each: each.name)
    return spot, folders, cursor
