"""Commands of owners: add, edit, change keys, activate and retire a storage profile. Each is one transaction."""

from __future__ import annotations

from dataclasses import asdict
from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import current_app, g
from flask_babel import gettext as _
from sqlalchemy import select, update

from portal import audit, database, tasks
from portal.database import db, transaction
from portal.errors import Conflict, Invalid
from portal.settings import Settings
from portal.storage import probe_runs
from portal.storage.connection import Connection, Keys, bucket_namespace, checked, checked_keys
from portal.storage.contents import content_queries
from portal.storage.models import Health, ProfileMode, StorageProfile
from portal.storage.service import SECRETS, egress_of, no_profile
from portal.tenancy.service import Member
from portal.vault import vault_of

LOCATION = ("bucket", "endpoint", "key_prefix")  # fields that may change only while no files are there
# `begin` reads the active profile in one transaction and inserts the upload in the next: an upload that has read this
# profile just before it was deactivated has no row yet.
LAST_UPLOADS = timedelta(minutes=1)
MAX_PROFILES = 20  # of one workspace: every page names their stores in its Content-Security-Policy


def list_profiles(workspace_id: UUID) -> list[StorageProfile]:
    """Those of a workspace that are not retired, the active one first, then the newest."""
    here = StorageProfile.workspace_id == workspace_id, StorageProfile.retired_at.is_(None)
    order = StorageProfile.active.desc(), StorageProfile.id.desc()
    return list(db.session.scalars(select(StorageProfile).where(*here).order_by(*order)))


def known_profiles(workspace_id: UUID) -> list[StorageProfile]:
    """The same for what a page shows, read once a request: its pictures, its notices and its policy need them."""
    known: dict[UUID, list[StorageProfile]] = g.setdefault("storage_profiles", {})
    if workspace_id not in known:
        known[workspace_id] = list_profiles(workspace_id)
    return known[workspace_id]


def add(member: Member, wanted: Connection, secret_access_key: str) -> StorageProfile:
    """Connect a bucket and have it tested; it takes no files before it is activated.

    Raises ``Invalid``, ``Conflict``, and ``Unavailable`` for too many tests.
    """
    probe_runs.count_request(member.workspace)
    connection = checked(wanted, egress_of(_settings()))
    given = checked_keys(connection.access_key_id, secret_access_key)
    profile = StorageProfile(
        id=database.new_id(),
        tenant_id=member.tenant_id,
        workspace_id=member.workspace,
        mode=ProfileMode.BYOS,
        active=False,
        store=connection.store,
        **asdict(connection),
    )
    _seal(profile, given)
    with transaction(member.tenant_id) as session:
        if len(list_profiles(member.workspace)) >= MAX_PROFILES:
            raise Conflict(
                _("A workspace has at most %(most)s storages. Disconnect an empty one first.", most=MAX_PROFILES)
            )
        _require_free(profile)
        session.add(profile)
        session.flush()
        _record(member, "storage.add", profile, **_audited(profile))
        probe_runs.request(member.workspace, profile.id, member.user_id)
    return profile


def edit(member: Member, profile_id: UUID, changes: dict[str, Any], secret_access_key: str | None) -> StorageProfile:
    """Change some of it, the keys too, and have it tested; ``changes`` holds fields of ``Connection``.

    Raises ``NotFound``, ``Invalid``, ``Conflict`` for another bucket while files are in this one, and ``Unavailable``
    for too many tests.
    """
    probe_runs.count_request(member.workspace)
    with transaction(member.tenant_id) as session:
        profile = _locked_own(member, profile_id)
        before = _connection(profile)
        after = checked(Connection(**{**asdict(before), **changes}), egress_of(_settings()))
        changed = [name for name, value in asdict(after).items() if getattr(before, name) != value]
        if after.access_key_id != before.access_key_id and secret_access_key is None:
            raise Invalid(_("Another access key has another secret. Enter the secret, too."), field="secret_access_key")
        for name, value in asdict(after).items():
            setattr(profile, name, value)
        moved = after.store != profile.store or any(name in LOCATION for name in changed)
        profile.store = after.store
        if moved:
            _require_empty(
                profile,
                _("There are files in this bucket. Connect the other bucket as another storage, and move the files."),
            )
            # What a test found there says nothing of the other place, which is not proven to be theirs either.
            profile.capabilities, profile.probe, profile.probed_at, profile.proven_at = {}, None, None, None
            _require_free(profile)
        if secret_access_key is not None:
            _seal(profile, checked_keys(after.access_key_id, secret_access_key))
            changed.append("secret_access_key")
        session.flush()
        _record(member, "storage.edit", profile, changed=sorted(changed), **_audited(profile))
        if set(changed) - {"name"}:
            # A test that runs now tests the earlier values; its result must not count for these.
            profile.health, profile.reason = Health.UNKNOWN, None
            probe_runs.request(member.workspace, profile.id, member.user_id)
    return profile


def activate(member: Member, profile_id: UUID) -> StorageProfile:
    """Send new files there; those in other profiles stay where they are. Repeating it changes nothing.

    Raises ``NotFound``, and ``Conflict`` for one that has not passed a test.
    """
    with transaction(member.tenant_id):
        return make_active(member, profile_id)


def make_active(member: Member, profile_id: UUID) -> StorageProfile:
    """``activate`` inside the caller's transaction."""
    _lock_all(member.workspace)  # of two that activate at once the second sees what the first has done
    profile = _locked(member, profile_id)
    if profile.active:
        return profile
    require_tested(profile)
    here = StorageProfile.workspace_id == member.workspace
    off = {"active": False, "deactivated_at": database.now()}
    db.session.execute(update(StorageProfile).where(here, StorageProfile.active).values(off))
    profile.active, profile.deactivated_at = True, None
    db.session.flush()
    _record(member, "storage.activate", profile, **_audited(profile))
    return profile


def require_tested(profile: StorageProfile) -> None:
    """Raises ``Conflict`` for a bucket that has not passed a test."""
    if profile.mode is ProfileMode.BYOS and profile.health is not Health.HEALTHY:
        raise Conflict(
            _("This storage has not passed a test yet. Test it; when the test passes, it can take new files."),
            health=profile.health.value,
        )


def retire(member: Member, profile_id: UUID) -> None:
    """Disconnect a bucket: its keys are deleted, nothing in it is changed. Only when none of our files is there.

    Raises ``NotFound``, ``Conflict``.
    """
    with transaction(member.tenant_id) as session:
        profile = _locked_own(member, profile_id)
        if profile.active:
            raise Conflict(_("New files go here. Activate another storage first."))
        if profile.deactivated_at and profile.deactivated_at > database.now() - LAST_UPLOADS:
            raise Conflict(_("New files went here until a moment ago. Try again in a minute."))
        # A failed asset counts, too: its purge still deletes here what an attempt has left.
        _require_empty(
            profile,
            _("Files, or entries of failed ones, are here. Move them to another storage, or delete them permanently."),
        )
        profile.sealed_secret = profile.wrapped_key = profile.vault_key_id = profile.proven_at = None
        profile.retired_at = database.now()
        profile.health, profile.reason = Health.UNKNOWN, None
        session.flush()
        tasks.cancel(profile_id, "probe")
        _record(member, "storage.retire", profile, **_audited(profile))


def masked(access_key_id: str | None) -> str | None:
    """Enough of an access key ID to recognise it."""
    if access_key_id is None:
        return None
    return f"{access_key_id[:4]}…{access_key_id[-4:]}" if len(access_key_id) >= 16 else f"{access_key_id[:2]}…"


def _locked(member: Member, profile_id: UUID) -> StorageProfile:
    """A profile that is not retired, its row locked until the end of the transaction. Raises ``NotFound``."""
    here = StorageProfile.workspace_id == member.workspace, StorageProfile.retired_at.is_(None)
    query = select(StorageProfile).where(*here, StorageProfile.id == profile_id).with_for_update()
    profile: StorageProfile | None = db.session.scalar(query.execution_options(populate_existing=True))
    if profile is None:
        raise no_profile()
    return profile


def _locked_own(member: Member, profile_id: UUID) -> StorageProfile:
    """``_locked``, for a customer's own bucket. Raises ``Conflict`` for the managed storage."""
    profile = _locked(member, profile_id)
    if profile.mode is not ProfileMode.BYOS:
        raise Conflict(_("The managed storage belongs to the operator. It can be activated, not changed."))
    return profile


def _lock_all(workspace_id: UUID) -> None:
    """Lock all rows of a workspace, in the order of their ids, so that nobody waits for each other."""
    every_profile = select(StorageProfile.id).where(StorageProfile.workspace_id == workspace_id)
    db.session.scalars(every_profile.order_by(StorageProfile.id).with_for_update()).all()


def _require_empty(profile: StorageProfile, message: str) -> None:
    queries = content_queries()
    files = queries.count_assets(profile.workspace_id, profile.id)
    if files:
        raise Conflict(message, files=files)
    if queries.is_in_a_move(profile.workspace_id, profile.id):
        raise Conflict(_("Files are being moved from it or to it. Finish the move first."))
    open_until = queries.uploads_open_until(profile.workspace_id, profile.id)
    if open_until is not None:
        until = open_until.isoformat(timespec="minutes")
        raise Conflict(
            _("An upload to it can still arrive, until %(time)s. Try again after that.", time=until), open_until=until
        )


def _require_free(profile: StorageProfile) -> None:
    """Refuse the operator's own bucket, and a place that overlaps with one of this workspace's.

    Whether it is anybody else's is found out by the test (``probe_runs``), once the keys were seen to work: whoever
    names a bucket without keys to it must neither keep its owner away nor learn that it is in use.
    """
    settings = _settings()
    ours = {bucket_namespace(each, settings.s3_region) for each in (settings.s3_endpoint, settings.s3_public_endpoint)}
    with db.session.no_autoflush:
        _lock_all(profile.workspace_id)  # of two that name one place at once the second sees the first
        others = [each for each in list_profiles(profile.workspace_id) if each.id != profile.id]
    same_bucket = [each for each in others if (each.store, each.bucket) == (profile.store, profile.bucket)]
    taken = (profile.bucket == settings.s3_bucket and profile.store in ours) or any(
        _overlap(each.key_prefix, profile.key_prefix) for each in same_bucket
    )
    if taken:
        raise Conflict(probe_runs.TAKEN, field="key_prefix")


def _overlap(one: str, other: str) -> bool:
    """Whether one prefix is the other, or lies below it."""
    one, other = (f"{each}/" if each else "" for each in (one, other))
    return one.startswith(other) or other.startswith(one)


def _seal(profile: StorageProfile, given: Keys) -> None:
    SECRETS.seal(profile, given.secret_access_key, vault_of(_settings().vault_keys))
    profile.access_key_id, profile.keys_changed_at = given.access_key_id, database.now()


def _connection(profile: StorageProfile) -> Connection:
    return Connection(**{name: getattr(profile, name) for name in Connection.__dataclass_fields__})


def _audited(profile: StorageProfile) -> dict[str, Any]:
    """What the audit log keeps of a profile: never the secret."""
    facts = {"mode": profile.mode.value, "name": profile.name, "bucket": profile.bucket, "endpoint": profile.endpoint}
    return {**facts, "key_prefix": profile.key_prefix, "access_key_id": masked(profile.access_key_id)}


def _record(member: Member, action: str, profile: StorageProfile, **facts: Any) -> None:
    audit.record(member.tenant_id, member.user_id, action, profile.id, workspace_id=member.workspace, **facts)


def _settings() -> Settings:
    settings: Settings = current_app.extensions["portal.settings"]
    return settings
