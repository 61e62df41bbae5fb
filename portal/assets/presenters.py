"""An asset as the API and the pages show it, from its row and its derived files."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol
from uuid import UUID

from flask_babel import gettext

from portal.assets.models import Asset, AssetState, PreviewState, ScanResult, Variant
from portal.assets.preview_urls import PreviewUrls
from portal.database import db
from portal.identity.models import User
from portal.inspection.scan_result import EXPLANATIONS
from portal.texts import Text
from portal.web.body import Answer, Time
from portal.web.state_mark import StateMark

Status = Literal["processing", "available", "quarantined", "failed", "deleted"]
Previews = Literal["none", "pending", "ready", "failed"]
# What a processing asset waits for: the error code of its task, and the name in the API.
WAITING = {"scanner_unavailable": "scanner", "storage_unavailable": "storage"}


class ReasonView(Answer):
    """Why something is as it is: a stable code, and a text for people."""

    code: str
    detail: str


class ScanView(Answer):
    """The scan result. ``reason`` says why the file was not scanned, or that a clean file has macros."""

    verdict: Literal["pending", "clean", "infected", "not_scanned"]
    signature: str | None
    engine: str | None
    database: str | None
    reason: str | None


class ReleasedView(Answer):
    """The mark of a file that was in quarantine: who released it, and when."""

    by: UUID
    at: Time


class VariantView(Answer):
    """A derived file. ``url`` is good for half an hour at least, and stays the same for a while."""

    name: str
    width: int
    height: int
    size_bytes: int
    mime_type: str
    url: str


class AssetView(Answer):
    """A file. ``metadata`` holds what was read from it: format, mode, width, height, aspect_ratio, exif{}, pages, …"""

    asset_id: UUID
    file_name: str
    kind: str
    mime_type: str
    size_bytes: int
    sha256: str | None
    status: Status
    reason: ReasonView | None
    waiting_for: str | None
    scan: ScanView
    released: ReleasedView | None
    metadata: dict[str, Any]
    previews: Previews
    preview_reason: ReasonView | None
    variants: list[VariantView]
    library_id: UUID
    folder_id: UUID | None
    created_by: UUID
    created_at: Time
    last_opened_at: Time | None
    deleted_at: Time | None


class StateColumns(Protocol):
    """The columns of an asset that its state is presented from."""

    state: AssetState
    reason_code: str | None
    reason_detail: Text | None
    waiting_for: str | None
    scan_result: ScanResult
    scan_signature: str | None
    scan_reason: str | None
    released_at: Any
    previews: PreviewState


def asset_view(asset: Asset, derived: Iterable[Variant], urls: PreviewUrls) -> AssetView:
    """The asset of the contract."""
    return AssetView(
        asset_id=asset.id,
        file_name=asset.file_name,
        kind=asset.kind,
        mime_type=asset.mime_type,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        status=asset.state.value,
        reason=reason_view(asset.reason_code, asset.reason_detail),
        waiting_for=waiting_for(asset.waiting_for),
        scan=scan_view(asset),
        released=released_view(asset),
        metadata=asset.facts,
        previews=asset.previews.value,
        preview_reason=reason_view(asset.previews_code, asset.previews_detail),
        variants=[variant_view(asset, each, urls) for each in derived],
        library_id=asset.library_id,
        folder_id=asset.folder_id,
        created_by=asset.created_by,
        created_at=asset.created_at,
        last_opened_at=asset.last_opened_at,
        deleted_at=asset.deleted_at,
    )


def page_view(asset: Asset, derived: Iterable[Variant], urls: PreviewUrls, author: User | None) -> dict[str, Any]:
    """The same for a page, which shows a little more."""
    view = asset_view(asset, derived, urls)
    return {
        **{name: getattr(view, name) for name in AssetView.model_fields},
        "workspace_id": asset.workspace_id,
        "mark": state_mark(asset),
        "is_final": is_final(asset),
        "placeholder": asset.placeholder,
        "created_by": {"name": author.name if author else "", "email": author.email if author else ""},
        "purge_on": asset.purge_after,
        "releaser": _name_of(asset.released_by),
    }


def _name_of(person_id: UUID | None) -> str | None:
    """Who released the file from quarantine. Few files were released, so lists do not join the table of users."""
    person = db.session.get(User, person_id) if person_id else None
    return (person.name or person.email) if person else None


def is_final(asset: StateColumns) -> bool:
    """Whether the state stays until somebody acts; else pages poll it."""
    rendering = asset.state == AssetState.AVAILABLE and asset.previews == PreviewState.PENDING
    return asset.state != AssetState.PROCESSING and not rendering


def poll_seconds(count: int) -> int:
    """The pause before the next poll of an asset, after ``count`` polls: 2 to 15 seconds."""
    return min(max(count // 4, 2), 15)


def state_mark(asset: StateColumns) -> StateMark:
    if asset.state == AssetState.PROCESSING:
        return _processing_mark(asset)
    if asset.state == AssetState.AVAILABLE:
        return _available_mark(asset)
    if asset.state == AssetState.QUARANTINED:
        return _quarantined_mark(asset)
    if asset.state == AssetState.FAILED:
        reason = asset.reason_detail or gettext("unknown reason")
        words = gettext("Failed: %(reason)s", reason=reason)
        return StateMark("bad", "alert-triangle", words, str(asset.reason_detail or "") or None)
    return StateMark("calm", "trash", gettext("In the trash"))


def _processing_mark(asset: StateColumns) -> StateMark:
    waits = waiting_for(asset.waiting_for)
    if waits == "scanner":
        title = gettext("The virus scanner is not available. The file is kept, and checked as soon as it is back.")
        return StateMark("wait", "clock", gettext("Waiting for the virus scanner"), title)
    if waits == "storage":
        title = gettext("The storage does not answer. The check continues as soon as it does.")
        return StateMark("wait", "clock", gettext("Waiting for the storage"), title)
    return StateMark("busy", "loader-2", gettext("Checking…"), spins=True)


def _available_mark(asset: StateColumns) -> StateMark:
    if asset.released_at is not None:
        title = asset.scan_signature or gettext("The virus check quarantined it, and an administrator released it.")
        return StateMark("warn", "shield-question", gettext("Released from quarantine"), title)
    if asset.scan_result == ScanResult.NOT_SCANNED:
        title = scan_reason(asset.scan_reason) or gettext(
            "There was no virus scanner. It is scanned when there is one."
        )
        return StateMark("warn", "shield-question", gettext("Not scanned"), title)
    if asset.scan_reason:
        return StateMark("warn", "shield-question", gettext("Contains macros"), scan_reason(asset.scan_reason))
    return StateMark("good", "circle-check", gettext("Ready"))


def _quarantined_mark(asset: StateColumns) -> StateMark:
    if asset.scan_result == ScanResult.INFECTED:
        return StateMark("bad", "shield-x", gettext("Quarantined: virus found"), asset.scan_signature)
    if asset.reason_code == "macros":
        return StateMark("bad", "lock", gettext("Quarantined: contains macros"), str(asset.reason_detail or "") or None)
    return StateMark(
        "bad", "lock", gettext("Quarantined: could not be scanned"), str(asset.reason_detail or "") or None
    )


def reason_view(code: str | None, detail: Text | None) -> ReasonView | None:
    """A reason, when there is one."""
    return ReasonView(code=code, detail=str(detail or "")) if code else None


def waiting_for(code: str | None) -> str | None:
    """What a file that is being checked waits for: ``scanner``, ``storage``, or another part that is unavailable."""
    return WAITING.get(code, code) if code else None


def scan_reason(code: str | None) -> str | None:
    """Why a file was not scanned, as a text."""
    return next((str(words) for known, words in EXPLANATIONS.items() if known == code), code)


def released_view(asset: Asset) -> ReleasedView | None:
    """The mark of a file that was released from quarantine, or None."""
    if asset.released_by is None or asset.released_at is None:
        return None
    return ReleasedView(by=asset.released_by, at=asset.released_at)


def scan_view(asset: Asset) -> ScanView:
    """The scan result with engine and signatures."""
    return ScanView(
        verdict=asset.scan_result.value,
        signature=asset.scan_signature,
        engine=asset.scan_engine,
        database=asset.scan_database,
        reason=scan_reason(asset.scan_reason),
    )


def variant_view(asset: Asset, variant: Variant, urls: PreviewUrls) -> VariantView:
    """A derived file with its address."""
    return VariantView(
        name=variant.name,
        width=variant.width,
        height=variant.height,
        size_bytes=variant.size_bytes,
        mime_type=variant.mime_type,
        url=urls.file(asset.profile_id, variant.object_key, asset.file_name, variant.name),
    )
