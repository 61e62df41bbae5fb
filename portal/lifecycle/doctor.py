"""Checks of every part of the installation, and of the invariants. ``portal doctor [--verify]`` prints the findings."""

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
from portal.texts import Text
from portal.uploads.models import OPEN, Upload, UploadState

# Promised: after any crash a reservation is released within an hour of its expiry.
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
    """The result of one check: ``ok`` None is a warning about something that still works."""

    name: str
    ok: bool | None
    detail: Text

    @property
    def sentence(self) -> Text:
        """With its name, for a list of several."""
        return Text("%(name)s: %(detail)s", name=self.name, detail=self.detail)


def examine(verify: bool = False) -> list[Finding]:
    """Check every part; with ``verify`` also every invariant of every tenant, which lists the whole bucket."""
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
            # Text: neither Alembic's table nor PostgreSQL's catalogue is mapped.
            revision = db.session.scalar(text("SELECT version_num FROM alembic_version"))
            owner = db.session.scalar(
                text("SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user")
            )
    except SQLAlchemyError:
        return Finding("database", False, Text("The database does not answer, or was never set up. Run: portal setup"))
    if revision != head:
        return Finding(
            "database",
            False,
            Text(
                "The database is at revision %(revision)s, this release needs %(head)s. Run: portal setup",
                revision=revision,
                head=head,
            ),
        )
    if owner:
        return Finding(
            "database",
            False,
            Text("PORTAL_DATABASE_URL names a role that bypasses row-level security. Use the application's role."),
        )
    return Finding(
        "database", True, Text("answers, at revision %(revision)s, with row-level security", revision=revision)
    )


def _queue() -> Finding:
    try:
        waiting = queue.depths(current_app.extensions["portal.redis"])
    except redis.RedisError:
        return Finding("queue", False, Text("Valkey does not answer. Uploads wait until it does."))
    jobs = ", ".join(f"{name} {count}" for name, count in waiting.items())
    return Finding("queue", True, Text("answers; queued jobs: %(jobs)s", jobs=jobs))


def _store() -> Finding:
    try:
        storage.check_managed_store()
    except Unavailable as problem:
        return Finding("store", False, Text.load(problem.detail))
    if storage.takes_cors_rules():
        return Finding("store", True, Text("answers, and accepts the access key"))
    origin = current_app.extensions["portal.settings"].base_url
    detail = Text(
        "answers, and accepts the access key, but takes no CORS rules: browsers can upload only if it allows the "
        "origin %(origin)s by itself",
        origin=origin,
    )
    return Finding("store", True, detail)


def _disk() -> Iterator[Finding]:
    found = disk.embedded_disk(current_app.extensions["portal.settings"])
    if found is not None:
        free = Text("%(share)s of the disk of the embedded store is free.", share=f"{found.share:.0%}")
        refused = Text("Uploads are refused below %(least)s. Free some space.", least=f"{disk.MIN_FREE_SHARE:.0%}")
        yield Finding("disk", not found.is_full, Text.join(free, refused) if found.is_full else free)


def _scanner(verify: bool) -> Finding:
    scanner = Scanner.at(current_app.extensions["portal.settings"])
    report = scanner.report()
    ok = {"ready": True, "down": False}.get(report.state)
    if report.state == "ready" and not report.reports_limits:
        detail = Text('The scanner reports files above its limits as clean. Set "AlertExceedsMax yes" in clamd.conf.')
        return Finding("scanner", None, detail)
    _version, made_at = signatures_of(report.database)
    if made_at is not None and database.now() - made_at > scanner_status.STALE:
        days = (database.now() - made_at).days
        detail = Text("The virus signatures are %(days)s days old. Run freshclam, or look into its log.", days=days)
        return Finding("scanner", None, detail)
    disagreement = _check_scanner_limit(scanner) if verify and report.state == "ready" else None
    return Finding("scanner", None, disagreement) if disagreement else Finding("scanner", ok, report.detail)


def _sandbox() -> Finding:
    """The layers that confine a preview decoder which a malicious file has taken over."""
    try:
        missing = layers.missing()
    except OSError as problem:
        return Finding(
            "preview sandbox", False, Text("No confined process can be started: %(error)s.", error=problem.strerror)
        )
    if missing:
        return Finding(
            "preview sandbox", None, Text("Less protected than possible: %(missing)s.", missing="; ".join(missing))
        )
    detail = Text("a user of its own, namespaces, Landlock rules and a seccomp filter")
    return Finding("preview sandbox", True, detail)


def _check_scanner_limit(scanner: Scanner) -> Text | None:
    """What is wrong when the upload limits and those of the scanner disagree."""
    largest = file_kinds.largest_limit_bytes()
    size = format_size(largest)
    try:
        if _takes(scanner, largest):
            return None
    except Unavailable as problem:
        return Text(
            "It is not known whether the scanner accepts %(size)s, the largest upload allowed: %(reason)s",
            size=size,
            reason=Text.load(problem.detail),
        )
    return Text(
        "Uploads can have %(size)s, which the scanner refuses. Raise its StreamMaxLength, MaxFileSize and MaxScanSize, "
        "or such files will be quarantined unscanned.",
        size=size,
    )


@functools.cache
def _takes(scanner: Scanner, size: int) -> bool:
    """Tried once per process: scanning so many bytes takes seconds."""
    return scanner.accepts(size)


def _tenants() -> list[UUID]:
    with database.transaction():
        return list(db.session.scalars(select(Tenant.id).order_by(Tenant.id)))


def examine_tenant(tenant_id: UUID) -> Iterator[Finding]:
    """Every broken invariant of one tenant, or one finding that says there is none."""
    database.enter(tenant_id)
    slug = db.session.scalars(select(Tenant.slug).where(Tenant.id == tenant_id)).one()
    broken = [*recount(tenant_id), *_stuck(tenant_id)]
    workspaces = db.session.scalars(select(Workspace.id).where(Workspace.tenant_id == tenant_id)).all()
    for workspace_id in workspaces:
        broken += objects.compare(tenant_id, workspace_id)
    if not broken:
        yield Finding(f"tenant {slug}", True, Text("counters, ledger, states and objects agree"))
    for sentence in broken:  # only the command line asks for these, so they are English
        yield Finding(f"tenant {slug}", False, Text.load(sentence))


def _stuck(tenant_id: UUID) -> Iterator[str]:
    now = database.now()
    late = select(Upload.id).where(
        Upload.tenant_id == tenant_id, Upload.state.in_(OPEN), Upload.expires_at < now - RESERVATION_GRACE
    )
    for upload_id in db.session.scalars(late):
        yield f"Upload {upload_id} has a reservation more than an hour after its expiry. Is the scheduler running?"
    promised = Upload.state.in_((*OPEN, UploadState.VERIFYING))
    counted = case((StorageProfile.mode == ProfileMode.MANAGED, Upload.size_bytes), else_=0)
    differs = (promised & (Upload.reserved_bytes != counted)) | (~promised & (Upload.reserved_bytes != 0))
    columns = (Upload.id, Upload.state, Upload.size_bytes, Upload.reserved_bytes)
    wrong = select(*columns).join(StorageProfile, StorageProfile.id == Upload.profile_id)
    for upload in db.session.execute(wrong.where(Upload.tenant_id == tenant_id, differs)):
        yield (
            f"Upload {upload.id} is {upload.state} with {upload.size_bytes} bytes "
            f"and has a reservation of {upload.reserved_bytes}."
        )
    unanswered = (
        select(Upload.id)
        .outerjoin(Asset, (Asset.upload_id == Upload.id) & (Asset.state == AssetState.PROCESSING))
        .where(Upload.tenant_id == tenant_id, Upload.state == UploadState.VERIFYING, Asset.id.is_(None))
    )
    for upload_id in db.session.scalars(unanswered):
        yield f"Upload {upload_id} is being verified, but has no file that is."
    stuck = select(Asset.id).where(
        Asset.tenant_id == tenant_id,
        Asset.state == AssetState.PROCESSING,
        Asset.created_at < now - LONGEST_PROCESSING,
        ~exists().where(Task.target_id == Asset.id, Task.waiting_for.is_not(None)),
    )
    for asset_id in db.session.scalars(stuck):
        yield f"Asset {asset_id} has been processing for more than a day for no known reason. Are workers running?"
    yield from _without_task(tenant_id)
    failing = Task.tenant_id == tenant_id, Task.attempts > tasks.MOST_ATTEMPTS
    for task in db.session.scalars(select(Task).where(*failing)):
        yield f"{task.kind} of {task.target_id} has failed {task.attempts} times. The workers' logs have the reason."


def _without_task(tenant_id: UUID) -> Iterator[str]:
    """Unfinished rows that have no task: no worker would ever come to them."""
    for kind, model, *unfinished in UNFINISHED:
        unknown = ~exists().where(Task.target_id == model.id, Task.kind == kind)
        for row_id in db.session.scalars(select(model.id).where(model.tenant_id == tenant_id, *unfinished, unknown)):
            yield f"{kind} of {row_id} will never be done: it has no task."
