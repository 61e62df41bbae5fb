"""Orders of admins about quarantined files: kept in the asset's row until a worker has carried them out, once.

``quarantine_order`` is the order: ``rescan``, ``rescan_later`` (after the next change of signatures), ``release``,
``release_infected`` (also when the scanner finds something again), and ``clean_up`` while a released file's copy in the
quarantine may still lie there. Every function belongs inside the caller's transaction and says whether it was first.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, update

from portal import database, tasks
from portal.assets import preview_jobs, purge, rescans
from portal.assets.models import Asset, AssetState, PreviewState, ScanResult
from portal.database import compare_and_set, db
from portal.inspection import scanner_status
from portal.inspection.scan_result import ScanVerdict
from portal.previews.types import PREVIEWABLE
from portal.tasks import Lease, LeaseLost, Target
from portal.texts import Text

RESCANS = ("rescan", "rescan_later")
RELEASES = ("release", "release_infected")
CLEAN_UP = "clean_up"
LONGEST_WAIT = timedelta(days=1)  # for a store or a scanner that is unavailable when a file is to be released
# An ordered release can't be replaced by another order.
_OPEN = or_(Asset.quarantine_order.is_(None), Asset.quarantine_order.not_in(RELEASES))


def staying() -> list[ColumnElement[bool]]:
    """Quarantined, and not on its way out: a purge that has begun since this transaction did must win."""
    return [
        Asset.state == AssetState.QUARANTINED,
        or_(Asset.purge_after.is_(None), Asset.purge_after > func.clock_timestamp()),
    ]


def order(asset: Asset, job: str, by: UUID, *more: ColumnElement[bool]) -> bool:
    """Put an order on a quarantined file. A new order takes the place of one for a scan."""
    values: dict[str, Any] = {"quarantine_order": job, "ordered_by": by}
    if job in RELEASES:
        # It must not be purged while it waits for a store or a scanner that is unavailable.
        values["purge_after"] = func.greatest(Asset.purge_after, func.now() + LONGEST_WAIT)
    changed = _change(asset.tenant_id, asset.id, values, _OPEN, *more)
    if changed is None:
        return False
    tasks.cancel(asset.id, "rescan_quarantined")  # a worker that has begun loses the lease, so it writes no old answer
    if job in RELEASES:
        purge.schedule(asset, changed.purge_after)
    kind = "release_quarantined" if job in RELEASES else "rescan_quarantined"
    # The same signatures would find the same again; where newer ones are there already, there is nothing to wait for.
    if job == "rescan_later" and _is_scanned_by_the_present_database(asset):
        tasks.schedule_waiting(kind, Target(asset.id, asset.tenant_id, asset.workspace_id), scanner_status.SIGNATURES)
    else:
        tasks.schedule(kind, asset.id, tenant_id=asset.tenant_id, workspace_id=asset.workspace_id)
    return True


def _is_scanned_by_the_present_database(asset: Asset) -> bool:
    last = scanner_status.last()
    return last is None or last.database is None or last.database == asset.scan_database


def propose(tenant_id: UUID, asset_id: UUID, by: UUID) -> bool:
    """Note who wants it released, for a second person to confirm."""
    values = {"proposed_by": by, "proposed_at": database.now()}
    return _change(tenant_id, asset_id, values, _OPEN, Asset.proposed_by.is_(None)) is not None


def purge_now(asset: Asset) -> bool:
    """Let it be purged now."""
    values = {"purge_after": func.now(), "quarantine_order": None}
    changed = _change(asset.tenant_id, asset.id, values, _OPEN)
    if changed is None:
        return False
    tasks.cancel(asset.id, "rescan_quarantined")
    purge.schedule(asset, changed.purge_after)
    return True


def note(lease: Lease, asset: Asset, verdict: ScanVerdict | None, code: str | None, detail: Text | None) -> bool:
    """Write what a worker found in a file that stays quarantined; the order is done.

    ``verdict`` None: what was known of it stays. Raises ``LeaseLost`` when another order took its place.
    """
    values: dict[str, Any] = {"quarantine_order": None}
    if asset.quarantine_order in RELEASES:
        values |= {"proposed_by": None, "proposed_at": None}
    if verdict is not None:
        values |= rescans.scan_values(verdict) | {"reason_code": code, "reason_detail": detail}
    here = Asset.id == asset.id, Asset.state == AssetState.QUARANTINED
    written = _written(update(Asset).where(*here).values(values))
    tasks.complete(lease)
    return written


def release(lease: Lease, asset: Asset, key: str, mime_type: str, verdict: ScanVerdict) -> bool:
    """From quarantined to available, at ``key``, with the mark of who released it.

    The task stays until its copy in the quarantine is gone (``cleaned_up``). Raises ``LeaseLost``.
    """
    values = {
        **rescans.scan_values(verdict),
        "object_key": key,
        "mime_type": mime_type,
        "reason_code": None,
        "reason_detail": None,
        "purge_after": None,
        "released_by": asset.ordered_by,
        "released_at": database.now(),
        "quarantine_order": CLEAN_UP,
        "previews": PreviewState.PENDING if mime_type in PREVIEWABLE else PreviewState.NONE,
    }
    here = [Asset.id == asset.id, Asset.quarantine_order == asset.quarantine_order]
    released = compare_and_set(Asset, [*here, Asset.state == AssetState.QUARANTINED], AssetState.AVAILABLE, **values)
    if not tasks.still_mine(lease):
        raise LeaseLost
    if released:
        tasks.cancel(asset.id, "purge")
    return released


def cleaned_up(lease: Lease, asset: Asset) -> None:
    """Its copy in the quarantine is gone: previews are due now, where it gets some. Raises ``LeaseLost``."""
    done = update(Asset).where(Asset.id == asset.id, Asset.quarantine_order == CLEAN_UP)
    pending = done.values(quarantine_order=None).returning(Asset.previews, Asset.scan_reason, Asset.scan_result)
    row = db.session.execute(pending.execution_options(synchronize_session=False)).one_or_none()
    tasks.complete(lease)
    if row is not None and row.previews is PreviewState.PENDING:
        preview_jobs.schedule(asset)
    if row is not None and row.scan_result is ScanResult.NOT_SCANNED and row.scan_reason in rescans.UNSCANNED:
        rescans.schedule(asset)


def _change(tenant_id: UUID, asset_id: UUID, values: dict[str, Any], *more: ColumnElement[bool]) -> Any:
    """Its ``purge_after`` as a row; None when it could not be changed."""
    here = Asset.tenant_id == tenant_id, Asset.id == asset_id
    statement = update(Asset).where(*here, *staying(), *more).values(values).returning(Asset.purge_after)
    return db.session.execute(statement.execution_options(synchronize_session=False)).one_or_none()


def _written(statement: Any) -> bool:
    statement = statement.returning(Asset.id).execution_options(synchronize_session=False)
    return db.session.scalar(statement) is not None
