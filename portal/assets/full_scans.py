"""Scan all files again: after many updates of the signatures, or when an operator starts it.

One scan runs at a time, tenant by tenant, in batches in the slow lane, so that nothing else waits for it. A batch is
done when none of its tasks is left, or after an hour. Workers, Valkey and scheduler can stop at any point: the scan
then only takes longer.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from portal import audit, tasks
from portal.assets.models import Asset, AssetState, Rescan, ScanResult
from portal.database import db, enter, new_id, now, transaction
from portal.errors import Conflict
from portal.inspection import scanner_status
from portal.inspection.models import ScannerStatus
from portal.storage.models import Health, StorageProfile
from portal.tasks import Task
from portal.tenancy.models import Tenant
from portal.texts import Text

log = logging.getLogger(__name__)

BATCH = 200
MAX_SHOWN = 5
MAX_BATCH_TIME = timedelta(hours=1)  # one unavailable store must not delay the files of the others
MANY_UPDATES = 30  # ClamAV publishes about one version of its database a day: a month
FIRST = UUID(int=0)


def start(why: str, actor_id: UUID | None) -> Rescan:
    """Start a scan; ``why`` is ``operator`` or ``signatures``. Raises ``Conflict`` while one runs, or no scanner."""
    proof = scanner_status.last()
    if proof is None or proof.state != "ready":
        raise Conflict(_("There is no virus scanner that works right now."))
    began = now()
    total, rescan_id = _count(began), new_id()
    with transaction(None):
        new = insert(Rescan).values(
            id=rescan_id,
            created_at=began,
            started_by=actor_id,
            cause=why,
            database=proof.database or "",
            total=total,
            done=0,
            infected=0,
            cursor_tenant=FIRST,
            cursor=FIRST,
            batch=0,
            stopped=False,
        )
        made = db.session.execute(new.on_conflict_do_nothing().returning(Rescan.id)).one_or_none()
        if made is None:
            raise Conflict(_("A scan of all files is running already."))
        db.session.execute(update(ScannerStatus).values(rescanned_version=ScannerStatus.version))
        audit.record_act(actor_id, "rescan.started", None, rows=total)
    return db.session.get_one(Rescan, rescan_id)


def stop(actor_id: UUID) -> None:
    """Stop the running scan. Raises ``Conflict`` when none is running."""
    with transaction(None):
        over = {"finished_at": now(), "stopped": True}
        running = update(Rescan).where(Rescan.finished_at.is_(None)).values(over).returning(Rescan.done)
        row = db.session.execute(running).one_or_none()
        if row is None:
            raise Conflict(_("No scan of all files is running."))
        db.session.execute(delete(Task).where(Task.kind == "scan_again"))
        audit.record_act(actor_id, "rescan.stopped", None, rows=row.done)


def running() -> Rescan | None:
    """The scan that is running."""
    return db.session.scalar(select(Rescan).where(Rescan.finished_at.is_(None)))


def history() -> list[Rescan]:
    """The last scans, the newest first."""
    fresh = select(Rescan).order_by(Rescan.id.desc()).limit(MAX_SHOWN).execution_options(populate_existing=True)
    return list(db.session.scalars(fresh))


def count_infected() -> None:
    """Count an infected file for the running scan, in the transaction that quarantines it."""
    found = update(Rescan).where(Rescan.finished_at.is_(None)).values(infected=Rescan.infected + 1)
    db.session.execute(found.execution_options(synchronize_session=False))


def schedule_next_batch() -> int:
    """Schedule the next batch once the last one is done. Returns the number of files. Needs a scanner."""
    with transaction():
        free = select(Rescan).where(Rescan.finished_at.is_(None)).with_for_update(skip_locked=True)
        rescan = db.session.scalar(free.execution_options(populate_existing=True))
        if rescan is None or not _is_done(rescan):
            return 0
        started, tenant_id, after = rescan.created_at, rescan.cursor_tenant, rescan.cursor
    batch = _next_batch(started, tenant_id, after)
    with transaction():
        return _schedule(rescan.id, batch)


def start_after_updates() -> Text:
    """The periodic task: start a scan after many updates of the signatures since the last one."""
    proof = scanner_status.last()
    if proof is None or proof.state != "ready" or proof.version is None:
        return Text("There is no virus scanner with dated signatures.")
    if proof.rescanned_version is None:
        with transaction(None):
            db.session.execute(update(ScannerStatus).values(rescanned_version=proof.version))
        return Text("Signature updates are counted from version %(version)s on.", version=proof.version)
    step = proof.version - proof.rescanned_version
    if step < MANY_UPDATES:
        return Text(
            "The signatures are %(step)s versions newer than at the last scan of all files; at %(big)s all files are "
            "scanned again.",
            step=step,
            big=MANY_UPDATES,
        )
    if running() is not None:
        return Text("All files are being scanned again.")
    return Text(
        "The signatures are %(step)s versions newer than at the last scan of all files. They are scanned again: "
        "%(total)s files.",
        step=step,
        total=start("signatures", None).total,
    )


def _is_done(rescan: Rescan) -> bool:
    """Whether every file of the current batch was scanned. After an hour the rest of it is skipped."""
    mine = Task.kind == "scan_again"
    left = int(db.session.scalar(select(func.count()).select_from(Task).where(mine)) or 0)
    if left and rescan.batch_at is not None and rescan.batch_at > now() - MAX_BATCH_TIME:
        return False
    if left:
        log.warning("%d files could not be scanned again, because their storage is unavailable", left)
        db.session.execute(delete(Task).where(mine))
    rescan.done, rescan.batch = rescan.done + rescan.batch - left, 0
    return True


class File(NamedTuple):
    """A file to scan."""

    tenant_id: UUID
    workspace_id: UUID
    id: UUID


def _next_batch(started: datetime, tenant_id: UUID, after: UUID) -> list[File]:
    """The next files by tenant and id. Each tenant is read under its own row-level security."""
    with transaction():
        ids = db.session.scalars(select(Tenant.id).where(Tenant.id >= tenant_id).order_by(Tenant.id)).all()
    files: list[File] = []
    for each in ids:
        enter(each)
        begin = after if each == tenant_id else FIRST
        rows = select(Asset.tenant_id, Asset.workspace_id, Asset.id).where(*_old(started), Asset.id > begin)
        here = rows.where(Asset.tenant_id == each).order_by(Asset.id).limit(BATCH - len(files))
        files += [File(*row) for row in db.session.execute(here)]
        if len(files) == BATCH:
            break
    enter(None)
    return files


def _schedule(rescan_id: UUID, files: list[File]) -> int:
    rescan = db.session.get(Rescan, rescan_id, with_for_update=True, populate_existing=True)
    if rescan is None or rescan.finished_at is not None:
        return 0
    if not files:
        rescan.finished_at = now()
        return 0
    rescan.cursor_tenant, rescan.cursor = files[-1].tenant_id, files[-1].id
    rescan.batch, rescan.batch_at = len(files), now()
    for (tenant_id, workspace_id), there in groupby(sorted(files), key=lambda each: each[:2]):
        ids = [each.id for each in there]
        tasks.schedule_all("scan_again", ids, tenant_id=tenant_id, workspace_id=workspace_id)
    return len(files)


def _old(started: datetime) -> tuple[ColumnElement[bool], ...]:
    """Clean files that were not scanned since. Those at an unhealthy profile are skipped: only a person can fix it."""
    unhealthy = select(StorageProfile.id).where(StorageProfile.health == Health.UNHEALTHY)
    not_scanned = or_(Asset.scanned_at.is_(None), Asset.scanned_at < started)
    clean = Asset.state == AssetState.AVAILABLE, Asset.scan_result == ScanResult.CLEAN
    return *clean, not_scanned, Asset.profile_id.not_in(unhealthy)


def _count(started: datetime) -> int:
    with transaction():
        ids = db.session.scalars(select(Tenant.id)).all()
    total = 0
    for tenant_id in ids:
        enter(tenant_id)
        rows = select(func.count()).select_from(Asset).where(Asset.tenant_id == tenant_id, *_old(started))
        total += int(db.session.scalar(rows) or 0)
    enter(None)
    return total
