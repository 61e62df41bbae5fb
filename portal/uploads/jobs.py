"""Jobs of uploads: each is the verb it rings."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from portal.errors import Unavailable
from portal.uploads import staging, verify

log = logging.getLogger(__name__)


def take_in(tenant_id: str, workspace_id: str, asset_id: str) -> None:
    """Verify a committed upload's bytes."""
    with _rest_later():
        verify.take_in(UUID(tenant_id), UUID(workspace_id), UUID(asset_id))


def clear_staging(tenant_id: str, workspace_id: str, upload_id: str) -> None:
    """Remove what an ended upload left in the bucket."""
    with _rest_later():
        staging.clear(UUID(tenant_id), UUID(workspace_id), UUID(upload_id))


@contextmanager
def _rest_later() -> Iterator[None]:
    """What could not be cleared away now, because the store is away, the sweep clears when the form has expired."""
    try:
        yield
    except Unavailable as problem:
        log.info("cleared away later: %s", problem.code)
