"""Entries of the audit log as the page shows them: actions and details in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from portal import sizes
from portal.admin.audit_log.service import AuditEntry

_ACTIONS = {
    "tenant.created": _l("Created the tenant"),
    "tenant.member_added": _l("Added a person"),
    "tenant.read_only": _l("An operator made the tenant read-only"),
    "tenant.writable": _l("An operator ended the tenant’s read-only mode"),
    "tenant.plan_changed": _l("Changed the plan of the tenant"),
    "tenant.renamed": _l("Renamed the tenant"),
    "tenant.member_set": _l("Changed a role in the tenant"),
    "tenant.member_disabled": _l("Disabled a person"),
    "tenant.member_enabled": _l("Enabled a person"),
    "tenant.member_removed": _l("Removed a person from the tenant"),
    "invitation.created": _l("Invited people"),
    "invitation.accepted": _l("Accepted an invitation"),
    "invitation.revoked": _l("Revoked an invitation"),
    "login.failed": _l("Somebody entered a wrong password for a person"),
    "person.blocked": _l("An operator blocked a person"),
    "person.unblocked": _l("An operator unblocked a person"),
    "workspace.created": _l("Created a workspace"),
    "workspace.renamed": _l("Renamed a workspace"),
    "workspace.member_set": _l("Changed a role in a workspace"),
    "workspace.member_removed": _l("Removed a person from a workspace"),
    "library.created": _l("Created a library"),
    "library.renamed": _l("Renamed a library"),
    "folder.created": _l("Created a folder"),
    "folders.created": _l("Created folders for an upload"),
    "folder.renamed": _l("Renamed a folder"),
    "folder.moved": _l("Moved a folder"),
    "folder.deleted": _l("Deleted a folder"),
    "folder.restored": _l("Restored a folder"),
    "assets.moved": _l("Moved files"),
    "upload.begin": _l("Started an upload"),
    "upload.begun": _l("Started an upload"),
    "upload.commit": _l("Uploaded a file"),
    "upload.aborted": _l("Cancelled an upload"),
    "upload.expired": _l("An upload expired"),
    "upload.failed": _l("An upload failed"),
    "uploads.blocked": _l("Blocked a person’s uploads"),
    "uploads.unblocked": _l("Unblocked a person’s uploads"),
    "asset.available": _l("A file passed its checks"),
    "asset.quarantined": _l("A file was quarantined"),
    "asset.failed": _l("A file failed its checks"),
    "asset.renamed": _l("Renamed a file"),
    "asset.deleted": _l("Moved a file to the trash"),
    "asset.restored": _l("Restored a file"),
    "asset.purge_requested": _l("Deleted a file permanently"),
    "asset.purged": _l("A file was deleted permanently"),
    "trash.emptied": _l("Emptied the trash"),
    "quarantine.rescan": _l("Ordered another scan of a quarantined file"),
    "quarantine.delete": _l("Deleted a quarantined file"),
    "quarantine.propose": _l("Proposed to release a quarantined file"),
    "quarantine.release": _l("Ordered the release of a quarantined file"),
    "quarantine.block": _l("Blocked the uploader of a quarantined file"),
    "quarantine.unblock": _l("Unblocked the uploader of a quarantined file"),
    "quarantine.download": _l("Unlocked the download of a quarantined file"),
    "quarantine.downloaded": _l("Downloaded a quarantined file"),
    "quarantine.outcome": _l("Result of a scan or release of a quarantined file"),
    "scan_policy.changed": _l("Changed the quarantine rules"),
    "scan_policy.proposed": _l("Proposed looser quarantine rules"),
    "scan_policy.withdrawn": _l("Rejected proposed quarantine rules"),
    "storage.add": _l("Connected a bucket"),
    "storage.edit": _l("Changed a storage"),
    "storage.activate": _l("Chose the storage for new files"),
    "storage.retire": _l("Disconnected a bucket"),
    "storage.probe": _l("Tested a storage"),
    "storage.healthy": _l("A storage passed its test"),
    "storage.unhealthy": _l("A storage stopped working"),
    "webhook.added": _l("Added a webhook"),
    "webhook.changed": _l("Changed a webhook"),
    "webhook.secret_replaced": _l("Changed the secret of a webhook"),
    "webhook.removed": _l("Removed a webhook"),
    "webhook.tested": _l("Tested a webhook"),
    "webhook.sent_again": _l("Sent an event to a webhook again"),
    "webhook.disabled": _l("A webhook was disabled"),
    "quota.limit_set": _l("Changed a limit"),
    "quota.miscounted": _l("The recount found wrong quota counters"),
    "quota.override_set": _l("Set a temporary limit for the tenant"),
    "quota.override_ended": _l("Ended the temporary limit of the tenant"),
}
_FACTS = {
    "bytes": _l("size"),
    "size_bytes": _l("size"),
    "freed_bytes": _l("freed space"),
    "limit_bytes": _l("limit"),
    "override_bytes": _l("temporary limit"),
    "override_until": _l("until"),
    "until": _l("until"),
    "sha256": "SHA-256",
    "count": _l("count"),
    "name": _l("name"),
    "slug": _l("slug"),
    "role": _l("role"),
    "before": _l("before"),
    "plan": _l("plan"),
    "reason": _l("reason"),
    "email": _l("e-mail address"),
    "workspaces": _l("workspaces"),
    "code": _l("code"),
    "changes": _l("changes"),
    "network": _l("network"),
    "device": _l("device"),
    "library": _l("library"),
    "folder": _l("folder"),
    "files": _l("files"),
    "folders": _l("folders"),
    "url": _l("address"),
    "bucket": _l("bucket"),
    "endpoint": _l("endpoint"),
}


@dataclass(frozen=True)
class Fact:
    """A detail of an entry. ``is_size``: bytes, shown as a size. ``is_digest``: shown shortened, the whole on hover."""

    label: str
    value: Any
    is_size: bool = False
    is_digest: bool = False

    @property
    def short_digest(self) -> str:
        """The ends of a SHA-256, by which people compare two."""
        return f"{self.value[:8]}…{self.value[-8:]}"


@dataclass(frozen=True)
class Row:
    """One entry. ``who`` is None for Stowage itself; ``email`` stands beside a name."""

    entry: AuditEntry
    who: str | None
    email: str | None
    action: str
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Choice:
    """An action that the list can be filtered by."""

    value: str
    text: str


def row(entry: AuditEntry) -> Row:
    """An entry of the list; details without a value are left out."""
    who = None
    if entry.actor_id is not None:
        who = entry.actor_name or entry.actor_email or _("A deleted person")
    facts = [_fact(name, value) for name, value in entry.facts.items() if value is not None and name != "file_name"]
    return Row(entry, who, entry.actor_email if entry.actor_name else None, action_text(entry.action), facts)


def choices(actions: Sequence[str]) -> list[Choice]:
    """The options of the filter."""
    return [Choice(action, action_text(action)) for action in actions]


def action_text(action: str) -> str:
    """An action in words; one that has no text here is shown as it is recorded."""
    return str(_ACTIONS.get(action) or action.replace(".", " ").replace("_", " ").capitalize())


def _fact(name: str, value: Any) -> Fact:
    label = str(_FACTS.get(name) or name.removesuffix("_bytes").replace("_", " "))
    if (name == "bytes" or name.endswith("_bytes")) and isinstance(value, int) and 0 <= value <= sizes.LARGEST:
        return Fact(label, value, is_size=True)
    return Fact(label, value, is_digest=name == "sha256" and isinstance(value, str))
