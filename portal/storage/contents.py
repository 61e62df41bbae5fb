"""The files at a storage profile: answered by the packages that own the rows, which stand above this one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask import Flask, current_app

# Counting so many takes 20 ms. Of a larger workspace pages show what was measured last (ADR 7).
MAX_COUNTED_FILES = 20_000


@dataclass(frozen=True)
class Contents:
    """The files at a profile, the bytes of their originals, and the bytes of the files derived from them."""

    files: int = 0
    original_bytes: int = 0
    derived_bytes: int = 0


@dataclass(frozen=True)
class ContentQueries:
    """The queries that higher packages answer. Each runs in the caller's transaction.

    ``measured`` and ``counted`` take a workspace and give the contents of each of its profiles. The others take a
    workspace and a profile: ``count_assets`` counts rows of assets in any state, ``uploads_open_until`` is the time
    until which an upload can still write there (None: no upload can), ``is_in_a_move`` whether files are being moved
    from it or to it.
    """

    measured: Callable[[UUID], dict[UUID, Contents]]
    counted: Callable[[UUID], dict[UUID, Contents]]
    count_assets: Callable[[UUID, UUID], int]
    uploads_open_until: Callable[[UUID, UUID], datetime | None]
    is_in_a_move: Callable[[UUID, UUID], bool]


def register(app: Flask, queries: ContentQueries) -> None:
    """Called once by the composition root."""
    app.extensions["portal.content_queries"] = queries


def content_queries() -> ContentQueries:
    """The registered queries of the current application."""
    queries: ContentQueries = current_app.extensions["portal.content_queries"]
    return queries


def contents_of(workspace_id: UUID) -> dict[UUID, Contents]:
    """What each profile of a workspace holds: counted now, or as last measured where there are many files."""
    measured = content_queries().measured(workspace_id)
    if sum(each.files for each in measured.values()) < MAX_COUNTED_FILES:
        return content_queries().counted(workspace_id)
    return measured
