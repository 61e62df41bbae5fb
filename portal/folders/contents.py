"""The folders of a page: the breadcrumbs to the current folder and the folders in it. One statement a page.

Lists are sorted by name without regard to case, and paged by keyset: the last name that was shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ARRAY, BindParameter, Integer, String, TextClause, Uuid, bindparam, text

from portal.database import db
from portal.errors import NotFound
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


_UP = """
    WITH RECURSIVE up AS (
        SELECT id, parent_id, library_id, name, 1 AS step FROM folders
        WHERE workspace_id = :workspace AND id = :folder AND deleted_at IS NULL
        UNION ALL
        SELECT f.id, f.parent_id, f.library_id, f.name, up.step + 1
        FROM up JOIN folders f ON f.workspace_id = :workspace AND f.id = up.parent_id WHERE up.step <= 40
    )
"""


def _statement(*, at_top: bool, goes_on: bool) -> TextClause:
    """One statement for each case: a condition on a parameter that may be null can't use the index of names."""
    parent = "parent_id IS NULL" if at_top else "parent_id = :folder"
    after = "AND (name_key, name) > (lower(CAST(:after AS text)), :after)" if goes_on else ""
    here = ":library" if at_top else "(SELECT library_id FROM up WHERE step = 1)"
    path = "NULL" if at_top else "(SELECT json_agg(json_build_array(id, name) ORDER BY step DESC) FROM up)"
    statement = text(f"""
        {"" if at_top else _UP}
        SELECT CAST(l.id AS text) AS id, l.name, {path} AS path, (
            SELECT json_agg(json_build_array(c.id, c.name)) FROM (
                SELECT id, name FROM folders
                WHERE library_id = l.id AND {parent} AND deleted_at IS NULL {after}
                ORDER BY name_key, name LIMIT :most
            ) c) AS folders
        FROM libraries l WHERE l.workspace_id = :workspace AND l.id = {here}
    """)  # noqa: S608  our own words
    parent_value = bindparam("library" if at_top else "folder", type_=Uuid())
    values: list[BindParameter[Any]] = [
        bindparam("workspace", type_=Uuid()),
        bindparam("most", type_=Integer()),
        parent_value,
    ]
    return statement.bindparams(*values, *([bindparam("after", type_=String())] if goes_on else []))


_BROWSE = {(top, on): _statement(at_top=top, goes_on=on) for top in (True, False) for on in (True, False)}
_PLACES = text("""
    WITH RECURSIVE up AS (
        SELECT a.id AS asset_id, a.library_id, a.folder_id AS next, CAST(ARRAY[] AS text[]) AS names, 1 AS step
        FROM assets a WHERE a.workspace_id = :workspace AND a.id = ANY (:assets)
        UNION ALL
        SELECT up.asset_id, up.library_id, f.parent_id, CAST(f.name AS text) || up.names, up.step + 1
        FROM up JOIN folders f ON f.workspace_id = :workspace AND f.id = up.next WHERE up.step <= 40
    )
    SELECT CAST(up.asset_id AS text) AS asset_id, CAST(l.name AS text) || up.names AS names
    FROM up JOIN libraries l ON l.id = up.library_id WHERE up.next IS NULL
""").bindparams(bindparam("workspace", type_=Uuid()), bindparam("assets", type_=ARRAY(Uuid())))


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
    if not rows or library_id not in (None, UUID(rows[0].id)):
        raise NotFound(_("There is no such folder or library in this workspace."))
    (row,) = rows
    spot = Breadcrumbs(Named(row.id, row.name), tuple(Named(*each) for each in row.path or ()))
    folders, cursor = cut([Named(*each) for each in row.folders or ()], paging, key=lambda each: each.name)
    return spot, folders, cursor


def places_of(workspace_id: UUID, asset_ids: Sequence[UUID]) -> dict[str, tuple[str, ...]]:
    """For each of these files the names of its library and of the folders above it. One statement."""
    if not asset_ids:
        return {}
    return {
        row.asset_id: tuple(row.names)
        for row in db.session.execute(_PLACES, {"workspace": workspace_id, "assets": list(asset_ids)})
    }
