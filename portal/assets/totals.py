"""What the files of a workspace hold, summed up for the measurement of usage: each query passes over its rows once.

Sizes are in bytes, as whole numbers: PostgreSQL's sum of bigints is a numeric, which Python reads as a ``Decimal``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Row, cast, func, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from portal.assets.models import Asset, AssetState, Variant
from portal.database import db
from portal.folders.models import Folder, Library

NOT_STORED = (AssetState.PROCESSING, AssetState.FAILED)


def is_stored() -> ColumnElement[bool]:
    """Whether the bytes of an asset lie at an original key.

    A failed file has no bytes left, and one that is being verified is still in staging, unless it is charged already.
    """
    return or_(Asset.state.not_in(NOT_STORED), Asset.charged_bytes > 0)


def originals(workspace_id: UUID) -> Sequence[Row[AssetState, str, UUID, int, int]]:
    """Rows of (state, kind, profile_id, bytes, files) of what is stored."""
    columns = Asset.state, Asset.kind, Asset.profile_id
    query = select(*columns, sum_of(Asset.size_bytes).label("bytes"), func.count().label("files"))
    return db.session.execute(query.where(Asset.workspace_id == workspace_id, is_stored()).group_by(*columns)).all()


def derived(workspace_id: UUID) -> Sequence[Row[str, UUID, int, int]]:
    """Rows of (kind of the original, profile_id, bytes, files) of derived files."""
    columns = Asset.kind, Asset.profile_id
    query = select(*columns, sum_of(Variant.size_bytes).label("bytes"), func.count().label("files"))
    query = query.join(Variant, Variant.asset_id == Asset.id)
    return db.session.execute(query.where(Asset.workspace_id == workspace_id).group_by(*columns)).all()


def people(workspace_id: UUID) -> Sequence[Row[UUID, int, int]]:
    """Rows of (user_id, bytes, files): what the quota counts of each person's uploads."""
    query = select(
        Asset.created_by.label("user_id"), sum_of(Asset.charged_bytes).label("bytes"), func.count().label("files")
    )
    charged = Asset.workspace_id == workspace_id, Asset.charged_bytes > 0
    return db.session.execute(query.where(*charged).group_by(Asset.created_by)).all()


def largest_folders(workspace_id: UUID, most: int) -> Sequence[Any]:
    """Rows of (library_id, folder_id, library, folder, bytes, files), the largest first; ``folder`` None: at the top.

    Files in the trash lie in no folder that a page shows.
    """
    size = sum_of(Asset.size_bytes).label("bytes")
    # The names are joined to the few that stay, not to every file.
    few = (
        select(Asset.library_id, Asset.folder_id, size, func.count().label("files"))
        .where(Asset.workspace_id == workspace_id, Asset.state.not_in((*NOT_STORED, AssetState.DELETED)))
        .group_by(Asset.library_id, Asset.folder_id)
        .order_by(size.desc())
        .limit(most)
        .subquery()
    )
    names = Library.name.label("library"), Folder.name.label("folder")
    query = select(few.c.library_id, few.c.folder_id, *names, few.c.bytes, few.c.files)
    query = query.join(Library, Library.id == few.c.library_id).outerjoin(Folder, Folder.id == few.c.folder_id)
    return db.session.execute(query.order_by(few.c.bytes.desc())).all()


def largest_files(workspace_id: UUID, most: int) -> Sequence[Row[UUID, str, int, AssetState]]:
    """Rows of (id, kind, bytes, state) of what the quota counts, the largest first."""
    query = select(Asset.id, Asset.kind, Asset.size_bytes.label("bytes"), Asset.state)
    charged = Asset.workspace_id == workspace_id, Asset.charged_bytes > 0
    return db.session.execute(query.where(*charged).order_by(Asset.size_bytes.desc(), Asset.id).limit(most)).all()


def duplicates(workspace_id: UUID, most: int) -> Sequence[Any]:
    """Available files with the same content: rows of (sha256, kind, files, bytes, all_files, all_bytes).

    ``bytes`` is what would be free if only the largest stayed, and what the rows are sorted by. ``all_files`` and
    ``all_bytes`` are the sums over all duplicates, not only over the ``most`` that are returned; the same in each row.
    """
    freed = (sum_of(Asset.size_bytes) - func.max(Asset.size_bytes)).label("bytes")
    same = (
        select(Asset.sha256, func.min(Asset.kind).label("kind"), func.count().label("files"), freed)
        .where(Asset.workspace_id == workspace_id, Asset.state == AssetState.AVAILABLE, Asset.sha256.is_not(None))
        .group_by(Asset.sha256)
        .having(func.count() > 1)
        .subquery()
    )
    all_files = cast(func.sum(same.c.files - 1).over(), BigInteger).label("all_files")
    all_bytes = cast(func.sum(same.c.bytes).over(), BigInteger).label("all_bytes")
    query = select(same, all_files, all_bytes).order_by(same.c.bytes.desc(), same.c.sha256).limit(most)
    return db.session.execute(query).all()


def names_of(workspace_id: UUID, asset_ids: Sequence[UUID]) -> dict[UUID, str]:
    """The names of those of these files that still exist."""
    query = select(Asset.id, Asset.file_name).where(Asset.workspace_id == workspace_id, Asset.id.in_(asset_ids))
    return {row.id: row.file_name for row in db.session.execute(query)}


def first_with_content(workspace_id: UUID, hashes: Sequence[str]) -> dict[str, tuple[UUID, str]]:
    """For each SHA-256 the id and the name of its oldest available file."""
    query = select(Asset.sha256, Asset.id, Asset.file_name).ext(distinct_on(Asset.sha256))
    same = Asset.workspace_id == workspace_id, Asset.sha256.in_(hashes), Asset.state == AssetState.AVAILABLE
    rows = db.session.execute(query.where(*same).order_by(Asset.sha256, Asset.id))
    return {row.sha256: (row.id, row.file_name) for row in rows}


def sum_of(column: Any) -> ColumnElement[int]:
    """The sum of a column of whole numbers as one, too."""
    return cast(func.sum(column), BigInteger)
