"""What clients and pages send about folders."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from pydantic import Field, StringConstraints

from portal.folders.service import Target
from portal.web.body import Body, Query

MOST_PATHS = 1_000  # of one call
LONGEST_PATH = 6_000  # characters: twenty of the longest names
MOST_ASSETS = 500  # files that one call moves


class NewFolder(Body):
    """A folder to add: into ``parent_id``, or to the top of a library (the first, when none is named)."""

    name: str
    library_id: UUID | None = None
    parent_id: UUID | None = None


class FolderQuery(Query):
    """Whose children are listed: a folder's, or a library's (the first's, when none is named)."""

    library_id: UUID | None = None
    parent_id: UUID | None = None


class FolderChange(Body):
    """What is left out stays. ``parent_id`` null puts it to the top of its library, or of ``library_id``.

    ``seen_name``: the name that was shown when the new one was chosen; 409 when it is another one by now.
    """

    name: str | None = None
    library_id: UUID | None = None
    parent_id: UUID | None = None
    seen_name: str | None = None

    def target(self) -> Target | None:
        """Where it is put, or None where it stays."""
        given = self.model_fields_set & {"library_id", "parent_id"}
        return Target(self.library_id, self.parent_id) if given else None


class NewPaths(Body):
    """Paths of folders, ``holiday/day 1``, below a folder or at the top of a library."""

    paths: list[Annotated[str, StringConstraints(max_length=LONGEST_PATH)]] = Field(min_length=1, max_length=MOST_PATHS)
    library_id: UUID | None = None
    parent_id: UUID | None = None


class LibraryChange(Body):
    """Another name; ``seen_name`` as for folders."""

    name: str
    seen_name: str | None = None


class MoveAssets(Body):
    """Files, and where they are put: a folder, or without one the top of a library (the first, when none is named)."""

    asset_ids: list[UUID] = Field(min_length=1, max_length=MOST_ASSETS)
    library_id: UUID | None = None
    folder_id: UUID | None = None
