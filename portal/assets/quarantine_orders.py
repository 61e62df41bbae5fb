"""Held files as rows: what the desk orders stands on the row until a worker has done it, and is done once.

``desk_job`` is the order: ``rescan``, ``rescan_later`` (after the next change of signatures), ``release``,
``release_infected`` (also when the scanner finds something again), and ``tidy`` while a released file's copy in the
quarantine may still lie there. Every function belongs inside the caller's transaction and says whether it was first.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, case, func, or_, update

from portal import database
from portal.assets import leases
from portal.assets.leases import Lease
from portal.assets.models import Asset, AssetState, PreviewState, ScanResult
from portal.database import compare_and_set, db
from portal.inspection.scan_result import ScanVerdict
from portal.previews.types import PREVIEWABLE

RESCANS = ("rescan", "rescan_later")
RELEASES = ("release", "release_infected")
TIDY = "tidy"
LONGEST_WAIT = timedelta(days=1)  # for a store or a scanner that is away when a file is to be released
# An ordered release stands: nobody can order anything else in its place.
_OPEN = or_(Asset.desk_job.is_(None), Asset.desk_job.not_in(RELEASES))


def staying() -> list[ColumnElement[bool]]:
    """Held, and not on its way out: a purge that has begun since this transaction did must win."""
    return [
        Asset.state == AssetState.QUARANTINED,
        or_(Asset.purge_after.is_(None), Asset.purge_after > func.clock_timestamp()),
    ]


def order(tenant_id: UUID, asset_id: UUID, job: str, by: UUID, *more: ColumnElement[bool]) -> bool:
    """Put an order on a held file. A new order takes the place of one for a scan."""
    values: dict[str, Any] = {"desk_job": job, "desk_by": by, "due_at": None, "attempts": 0}
    if job in RELEASES:
        # It must not be purged while it waits for a store or a scanner that is away.
        values["purge_after"] = func.greatest(Asset.purge_after, func.now() + LONGEST_WAIT)
    return _change(tenant_id, asset_id, values, _OPEN, *more)


def propose(tenant_id: UUID, asset_id: UUID, by: UUID) -> bool:
    """Note who wants it released, for a second person to confirm."""
    values = {"proposed_by": by, "proposed_at": database.now()}
    return _change(tenant_id, asset_id, values, _OPEN, Asset.proposed_by.is_(None))


def leave(tenant_id: UUID, asset_id: UUID) -> bool:
    """Let it be purged now."""
    return _change(tenant_id, asset_id, {"purge_after": func.now(), "due_at": None, "desk_job": None}, _OPEN)


def noted(lease: Lease, asset: Asset, verdict: ScanVerdict | None, code: str | None, detail: str | None) -> bool:
    """Write what a worker found in a file that stays held; the order is done, unless another took its place.

    ``verdict`` None: what was known of it stays.
    """
    done = case((Asset.desk_job == asset.desk_job, None), else_=Asset.desk_job)
    values = leases.settle(desk_job=done)
    if asset.desk_job in RELEASES:
        values |= {"proposed_by": None, "proposed_at": None}
    if verdict is not None:
        values |= scan_values(verdict) | {"reason_code": code, "reason_detail": detail}
    return _written(update(Asset).where(*lease.mine, Asset.state == AssetState.QUARANTINED).values(values))


def let_go(lease: Lease, asset: Asset, key: str, mime_type: str, verdict: ScanVerdict) -> bool:
    """From held to available, at ``key``, with the mark of who released it; the claim stays until it is ``tidied``."""
    values = {
        **scan_values(verdict),
        "object_key": key,
        "mime_type": mime_type,
        "reason_code": None,
        "reason_detail": None,
        "purge_after": None,
        "released_by": asset.desk_by,
        "released_at": database.now(),
        "desk_job": TIDY,
        "previews": PreviewState.PENDING if mime_type in PREVIEWABLE else PreviewState.NONE,
    }
    held = [*lease.mine, Asset.state == AssetState.QUARANTINED, Asset.desk_job == asset.desk_job]
    return compare_and_set(Asset, held, AssetState.AVAILABLE, **values)


def tidied(lease: Lease) -> bool:
    """Its copy in the quarantine is gone: previews are due now, where it gets some."""
    due = case((Asset.previews == PreviewState.PENDING, func.now()), else_=None)
    return _written(update(Asset).where(*lease.mine).values(leases.settle(desk_job=None, due_at=due)))


def scan_values(verdict: ScanVerdict) -> dict[str, Any]:
    """A verdict as columns."""
    return {
        "scan_result": ScanResult(verdict.result),
        "scanned_at": database.now(),
        "scan_signature": verdict.signature,
        "scan_engine": verdict.engine,
        "scan_database": verdict.database,
        "scan_reason": verdict.reason,
    }


def _change(tenant_id: UUID, asset_id: UUID, values: dict[str, Any], *more: ColumnElement[bool]) -> bool:
    here = Asset.tenant_id == tenant_id, Asset.id == asset_id
    return _written(update(Asset).where(*here, *staying(), *more).values(values))


def _written(statement: Any) -> bool:
    statement = statement.returning(Asset.id).execution_options(synchronize_session=False)
    return db.session.scalar(statement) is not None
