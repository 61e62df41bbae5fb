"""The query of a download."""

from __future__ import annotations

from pydantic import Field

from portal.web.body import Query


class DownloadQuery(Query):
    """Without ``variant``: the original."""

    variant: str | None = Field(None, min_length=1, max_length=20, description="A derived file, by its name.")
