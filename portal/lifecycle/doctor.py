"""Does every part answer, and do the invariants hold? ``portal doctor [--verify]`` prints what this finds."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import redis
from alembic.script import ScriptDirectory
from flask import current_app
from sqlalchemy import case, exists, select, text
from sqlalchemy.exc import SQLAlchemyError

from portal import database, queue, tasks
from portal.assets.models import Asset, AssetState, PreviewState
from portal.database import db, schema
from portal.errors import Unavailable
from portal.inspection import file_kinds, scanner_status
from portal.inspection.scan_result import signatures_of
from portal.inspection.scanner import Scanner
from portal.lifecycle import objects
from portal.lifecycle.recount import recount
from portal.sandbox import layers
from portal.sizes import format_size
from portal.storage import disk
from portal.storage import service as storage
from portal.storage.models import ProfileMode, StorageProfile
from portal.tasks import Task
from portal.tenancy.models import Tenant, Workspace
from portal.uploads.models import OPEN, Upload, UploadState

# A promise of product.md: after any crash a reservation is back within an hour of its expiry.
RESERVATION_GRACE = timedelta(hours=1)
LONGEST_PROCESSING = timedelta(days=1)


# Kinds of tasks, and the rows that must have one.
UNFINISHED: tuple[tuple[Any, ...], ...] = (
    ("take_in", Asset, Asset.state == AssetState.PROCESSING),
    ("render_previews", Asset, Asset.state == AssetState.AVAILABLE, Asset.previews == PreviewState.PENDING),
    ("purge", Asset, Asset.state.in_((AssetState.DELETED, AssetState.QUARANTINED)), Asset.purge_after.is_not(None)),
    ("expire", Upload, Upload.state.in_(OPEN)),
    ("clear_staging", Upload, Upload.cleared_at.is_(None), Upload.state.not_in((*OPEN, UploadState.VERIFYING))),
)


@dataclass(frozen=True)
class Finding:
    """One look: ``ok`` None means a warning that breaks nothing."""

    name: str
    ok: bool | None
    detail: str


def examine(verify: bool = False) -> list[Finding]:
    """Look at every part; with ``verify`` at every invariant of every tenant, too (it walks the whole bucket)."""
    findings = [_database()]
    if not findings[0].ok:
        return findings
    store = _store()
    findings += [_queue(), store, _scanner(verify), _sandbox(), *_disk()]
    if verify and store.ok:
        findings += [finding for tenant_id in _tenants() for finding in examine_tenant(tenant_id)]
    return findings


def _database() -> Finding:
    head = ScriptDirectory(str(schema.MIGRATIONS)).get_current_head()
    try:
        with database.transaction():
            revision = db.session.scalar(text("SELECT version_num FROM alembic_version"))
            owner = db.session.scalar(
                text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
    except SQLAlchemyError:
        return Finding("database", False, "The database does not answer, or was never set up. Run: portal setup")
    if revision != head:
        return Finding("database", False, f"The database is at revision {revision}, this release needs {head}.")
    if owner:
        return Finding("database", False, "PORTAL_DATABASE_URL names a role that row-level security does not bind.")
    return Finding("database", True, f"answers, at revision {revision}, row-level security binds us")


def _queue() -> Finding:
    try:
        waiting = queue.depths(current_app.extensions["portal.redis"])
    except redis.RedisError:
        return Finding("queue", False, "Valkey does not answer. Uploads are kept and wait for it.")
    words = ", ".join(f"{name} {count}" for name, count in waiting.items())
    return Finding("queue", True, f"answers; waiting: {words}")


def _store() -> Finding:
    try:
        storage.check_managed_store()
    except Unavailable as problem:
        return Finding("store", False, problem.detail)
    if storage.takes_cors_rules():
        return Finding("store", True, "answers, and takes our key")
    origin = current_app.extensions["portal.settings"].base_url
    words = f"answers, and takes our key, but no CORS rule: browsers upload if it lets pages of {origin} in by itself"
    return Finding("store", True, words)


def _disk() -> Iterator[Finding]:
    found = disk.look(current_app.extensions["portal.settings"])
    if found is not None:
        words = f"{found.share:.0%} of the embedded store's disk is free"
        full = f"{words}: uploads are refused below {disk.MIN_FREE_SHARE:.0%}. Free some space."
        yield Finding("disk", not found.is_full, full if found.is_full else words)


def _scanner(verify: bool) -> Finding:
    scanner = Scanner.at(current_app.extensions["portal.settings"])
    report = scanner.report()
    ok = {"ready": True, "down": False}.get(report.state)
    if report.state == "ready" and not report.reports_limits:
        return Finding("scanner", None, "The scanner says OK to what exceeds its limits. Set AlertExceedsMax yes.")
    _version, made_at = signatures_of(report.database)
    if made_at is not None and database.now() - made_at > scanner_status.STALE:
        days = (database.now() - made_at).days
        return Finding(
            "scanner", None, f"The virus signatures are {days} days old. Run freshclam, or look into its log."
        )
    disagreement = _limit_of(scanner) if verify and report.state == "ready" else None
    return Finding("scanner", None, disagreement) if disagreement else Finding("scanner", ok, report.detail)


def _sandbox() -> Finding:
    """What protects this machine from a file that takes over a decoder of previews."""
    try:
        missing = layers.missing()
    except OSError as problem:
        return Finding("preview sandbox", False, f"No confined process can be started: {problem.strerror}.")
    if missing:
        return Finding("preview sandbox", None, f"Less protected than possible: {'; '.join(missing)}.")
    words = "a user of its own, namespaces, rules for files and a filter of system calls"
    return Finding("preview sandbox", True, words)


def _limit_of(scanner: Scanner) -> str | None:
    """Where policy and scanner disagree, in words."""
    largest = file_kinds.largest_limit_bytes()
    size = format_size(largest)
    try:
        if _takes(scanner, largest):
            return None
    except Unavailable as problem:
        return f"Whether the scanner takes {size}, the most that an upload may have, is not known: {problem.detail}"
    advice = "Raise its StreamMaxLength, MaxFileSize and MaxScanSize, or such files will be held unscanned."
    return f"Uploads may have {size}, which the scanner refuses. {advice}"


@functools.cache
def _takes(scanner: Scanner, size: int) -> bool:
    """An answer is asked for once a process: reading so many bytes takes seconds."""
    return scanner.accepts(size)


def _tenants() -> list[UUID]:
    with database.transaction():
        return list(db.session.scalars(select(Tenant.id).order_by(Tenant.id)))


def examine_tenant(tenant_id: UUID) -> Iterator[Finding]:
    """Every broken invariant of one tenant, or one line that says there is none."""
    database.enter(tenant_id)
    slug = db.session.scalars(select(Tenant.slug).where(Tenant.id == tenant_id)).one()
    broken = [*recount(tenant_id), *_stuck(tenant_id)]
    workspaces = db.session.scalars(select(Workspace.id).where(Workspace.tenant_id == tenant_id)).all()
    for workspace_id in workspaces:
        broken += objects.compare(tenant_id, workspace_id)
    if not broken:
        yield Finding(f"tenant {slug}", True, "counters, ledger, states and objects agree")
    for words in broken:
        yield Finding(f"tenant {slug}", False, words)


def _stuck(tenant_id: UUID) -> Iterator[str]:
    now = database.now()
    late = select(Upload.id).where(
        Upload.tenant_id == tenant_id, Upload.state.in_(OPEN), Upload.expires_at < now - RESERVATION_GRACE
    )
    for upload_id in db.session.scalars(late):
        yield f"Upload {upload_id} holds its reservation more than an hour after its expiry. Is the scheduler running?"
    promised = Upload.state.in_((*OPEN, UploadState.VERIFYING))
    counted = case((StorageProfile.mode == ProfileMode.MANAGED, Upload.size_bytes), else_=0)
    differs = (promised & (Upload.reserved_bytes != counted)) | (~promised & (Upload.reserved_bytes != 0))
    columns = (Upload.id, Upload.state, Upload.size_bytes, Upload.reserved_bytes)
    wrong = select(*columns).join(StorageProfile, StorageProfile.id == Upload.profile_id)
    for upload in db.session.execute(wrong.where(Upload.tenant_id == tenant_id, differs)):
        yield (
            f"Upload {upload.id} is {upload.state} with {upload.size_bytes} bytes "
            f"and holds a reservation of {upload.reserved_bytes}."
        )
    unanswered = (
        select(Upload.id)
        .outerjoin(Asset, (Asset.upload_id == Upload.id) & (Asset.state == AssetState.PROCESSING))
        .where(Upload.tenant_id == tenant_id, Upload.state == UploadState.VERIFYING, Asset.id.is_(None))
    )
    for upload_id in db.session.scalars(unanswered):
        yield f"Upload {upload_id} is being verified, but no file of it is."
    standing = select(Asset.id).where(
        Asset.tenant_id == tenant_id,
        Asset.state == AssetState.PROCESSING,
        Asset.created_at < now - LONGEST_PROCESSING,
        ~exists().where(Task.target_id == Asset.id, Task.waiting_for.is_not(None)),
    )
    for asset_id in db.session.scalars(standing):
        yield f"Asset {asset_id} has been processing for more than a day without a reason. Are workers running?"
    yield from _without_task(tenant_id)
    failing = Task.tenant_id == tenant_id, Task.attempts > tasks.MOST_ATTEMPTS
    for task in db.session.scalars(select(Task).where(*failing)):
        yield f"{task.kind} of {task.target_id} has failed {task.attempts} times. The workers' logs have the reason."


def _without_task(tenant_id: UUID) -> Iterator[str]:
    """Rows that somebody has to do something about, and that no task names: nobody would ever look at them."""
    for kind, model, *unfinished in UNFINISHED:
        unknown = ~exists().where(Task.target_id == model.id, Task.kind == kind)
        for row_id in db.session.scalars(select(model.id).where(model.tenant_id == tenant_id, *unfinished, unknown)):
            yield f"Nothing is going to do {kind} of {row_id}: it has no task."
