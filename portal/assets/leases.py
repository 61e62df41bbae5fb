"""A worker's right to one asset: the lease of a task about it, with its row as it is now."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from portal import tasks
from portal.assets.models import Asset
from portal.database import db
from portal.errors import Unavailable
from portal.storage import health
from portal.tasks import Lease


@dataclass(frozen=True)
class Leased:
    """The lease, and the asset as it was when it was taken."""

    lease: Lease
    asset: Asset


@contextmanager
def acquire(kind: str, tenant_id: UUID, workspace_id: UUID, asset_id: UUID) -> Iterator[Leased | None]:
    """As ``tasks.acquire``; None as well for an asset that is gone, which ends its task.

    A store that is unavailable to this work is suspected (``storage.health``), whatever the work was.
    """
    with tasks.acquire(kind, tenant_id, workspace_id, asset_id) as lease:
        # After the lease was acquired: what another worker wrote under the lease before is seen.
        asset = _read(workspace_id, asset_id) if lease is not None else None
        if lease is None or asset is None:
            yield None
            return
        try:
            yield Leased(lease, asset)
        except Unavailable as problem:
            health.report_problem(tenant_id, asset.profile_id, problem)
            raise


def _read(workspace_id: UUID, asset_id: UUID) -> Asset | None:
    here = select(Asset).where(Asset.workspace_id == workspace_id, Asset.id == asset_id)
    return db.session.scalar(here.execution_options(populate_existing=True))
