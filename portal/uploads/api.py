"""Uploads over JSON."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, request
from flask_babel import gettext as _
from pydantic import JsonValue

from portal.errors import Invalid, Problem, Unavailable
from portal.objectstore.multipart import Part
from portal.storage.models import ProfileMode
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.uploads import multipart, part_plan
from portal.uploads.begin import Begun
from portal.uploads.begin import begin as begin_upload
from portal.uploads.cancel import cancel as cancel_upload
from portal.uploads.commit import commit as commit_upload
from portal.uploads.forms import (
    LONGEST_KEY,
    BatchView,
    BeginBatch,
    BeginOne,
    BeginUpload,
    CommitBatch,
    CommitOne,
    CommittedBatchView,
    CommittedView,
    CommitUpload,
    OpenUploadView,
    PartView,
    ReasonView,
    SignedPartsView,
    SignedPartView,
    SignParts,
    UploadView,
)
from portal.uploads.models import MULTIPART, Upload
from portal.web.body import Listing, parse
from portal.web.openapi import operation
from portal.web.paging import Paging, cut
from portal.web.problems import ProblemView, problem_facts

blueprint = Blueprint("uploads_api", __name__)

REFUSALS = ("unsupported_type", "file_too_large", "quota_exceeded", "conflict")
KEY_HELP = {"Idempotency-Key": "Per person and workspace, for 24 hours: the same body gives the same upload again."}


@blueprint.post("/v1/workspaces/<uuid:w>/uploads")
@member(Permission.UPLOAD)
@operation(body=BeginUpload, returns=UploadView, status=201, headers=KEY_HELP, errors=REFUSALS)
def begin(member: Member, body: BeginUpload) -> UploadView:
    """Open an upload session.

    Policy, permission and quota are checked and the size is reserved before a byte moves. Send the bytes with the
    request described in the answer, then commit.
    """
    return view_of(begin_upload(member, body.spec(), _idempotency_key()))


@blueprint.post("/v1/workspaces/<uuid:w>/uploads/batch")
@member(Permission.UPLOAD)
@operation(body=BeginBatch, returns=BatchView)
def begin_batch(member: Member, body: BeginBatch) -> BatchView:
    """Open up to 100 sessions, each with its own result.

    Every item has the shape of BeginUpload; one that has not is answered with its own problem. With an
    ``idempotency_key`` for each (what the header is to a single one) the batch is safe to repeat.
    """
    return BatchView(items=[_begin_one(member, item) for item in body.items])


@blueprint.get("/v1/workspaces/<uuid:w>/uploads/<uuid:u>")
@member(Permission.UPLOAD)
@operation(returns=UploadView)
def show(member: Member, u: UUID) -> UploadView:
    """Show an upload; freshly signed while it is open, with the parts that have arrived completely."""
    return view_of(multipart.find_with_parts(member, u))


@blueprint.get("/v1/workspaces/<uuid:w>/uploads")
@member(Permission.UPLOAD)
@operation(paged=True, returns=Listing[OpenUploadView])
def list_open(member: Member, paging: Paging) -> Listing[OpenUploadView]:
    """List your own unfinished uploads, the oldest first."""
    rows = multipart.list_open(member, after=paging.after_id(), limit=paging.limit + 1)
    page, cursor = cut(rows, paging, key=lambda row: row.id)
    return Listing[OpenUploadView](items=[_open_view(row) for row in page], next_cursor=cursor)


@blueprint.post("/v1/workspaces/<uuid:w>/uploads/<uuid:u>/parts")
@member(Permission.UPLOAD)
@operation(body=SignParts, returns=SignedPartsView, errors=("upload_expired", "conflict", "storage_unavailable"))
def sign_parts(member: Member, body: SignParts, u: UUID) -> SignedPartsView:
    """Sign the requests that send these parts, at most 100 at once; any part may be signed and sent again.

    The upload and its reservation expire seven days after the last part was signed.
    """
    signed = multipart.sign_parts(member, u, body.part_numbers)
    views = [
        SignedPartView(part_number=number, url=each.url, headers=each.headers)
        for number, each in signed.requests.items()
    ]
    return SignedPartsView(parts=views, expires_at=signed.expires_at)


@blueprint.post("/v1/workspaces/<uuid:w>/uploads/<uuid:u>/commit")
@member(Permission.UPLOAD)
@operation(
    body=CommitUpload,
    returns=CommittedView,
    errors=("upload_missing", "upload_expired", "size_mismatch", "checksum_mismatch", "conflict"),
)
def commit(member: Member, body: CommitUpload, u: UUID) -> CommittedView:
    """Commit an upload whose bytes were sent. Safe to repeat."""
    return _committed(member, u, body)


@blueprint.post("/v1/workspaces/<uuid:w>/uploads/batch/commit")
@member(Permission.UPLOAD)
@operation(body=CommitBatch, returns=CommittedBatchView)
def commit_batch(member: Member, body: CommitBatch) -> CommittedBatchView:
    """Commit up to 100 uploads whose bytes were sent, each with its own result. Safe to repeat.

    Every item is an ``upload_id`` with what CommitUpload takes. When the store can't be reached, the rest of the batch
    is answered with the same problem and not tried: commit it again later.
    """
    items: list[CommittedView | ProblemView] = []
    unavailable: ProblemView | None = None
    for item in body.items:
        try:
            items.append(unavailable or _commit_one(member, item))
        except Problem as problem:
            view = ProblemView.model_validate(problem_facts(problem))
            # Each of 100 uploads would wait for the timeout of the same store.
            unavailable = view if isinstance(problem, Unavailable) else None
            items.append(view)
    return CommittedBatchView(items=items)


@blueprint.delete("/v1/workspaces/<uuid:w>/uploads/<uuid:u>")
@member(Permission.UPLOAD)
@operation(errors=("conflict",))
def cancel(member: Member, u: UUID) -> None:
    """Abort an upload that is not committed; its reservation is released and its bytes are removed."""
    cancel_upload(member, u)


def view_of(begun: Begun) -> UploadView:
    """A session as JSON."""
    upload, signed = begun.upload, begun.signed
    reason = ReasonView(code=upload.reason_code, detail=str(upload.reason_detail or "")) if upload.reason_code else None
    return UploadView(
        upload_id=upload.id,
        state=upload.state,
        provider="byos" if begun.mode is ProfileMode.BYOS else "managed",
        method=upload.method,
        upload_url=signed.url if signed else None,
        fields=signed.fields if signed else {},
        headers=signed.headers if signed else {},
        part_size=_part_size(upload),
        expires_at=upload.expires_at,
        file_name=upload.file_name,
        size_bytes=upload.size_bytes,
        library_id=upload.library_id,
        folder_id=upload.folder_id,
        reason=reason,
        parts=[_part_view(part) for part in begun.there.values()],
        asset_id=upload.asset_id,
    )


def _open_view(upload: Upload) -> OpenUploadView:
    names = set(OpenUploadView.model_fields) - {"upload_id", "part_size"}
    values = {name: getattr(upload, name) for name in names}
    return OpenUploadView(upload_id=upload.id, part_size=_part_size(upload), **values)


def _part_view(part: Part) -> PartView:
    return PartView(part_number=part.number, size_bytes=part.size, etag=part.etag.strip('"'))


def _part_size(upload: Upload) -> int | None:
    return part_plan.part_size(upload.size_bytes) if upload.method == MULTIPART else None


def _begin_one(member: Member, item: JsonValue) -> UploadView | ProblemView:
    try:
        one = parse(BeginOne, item)
        return view_of(begin_upload(member, one.spec(), (one.idempotency_key or "").strip() or None))
    except Problem as problem:
        return ProblemView.model_validate(problem_facts(problem))


def _commit_one(member: Member, item: JsonValue) -> CommittedView:
    one = parse(CommitOne, item)
    return _committed(member, one.upload_id, one)


def _committed(member: Member, upload_id: UUID, body: CommitUpload) -> CommittedView:
    asset = commit_upload(member, upload_id, body.sha256, body.etag)
    return CommittedView(upload_id=upload_id, asset_id=asset.id, status=asset.state)


def _idempotency_key() -> str | None:
    key = request.headers.get("Idempotency-Key", "").strip()
    if len(key) > LONGEST_KEY:
        raise Invalid(
            _("An Idempotency-Key has %(most)s characters or fewer.", most=LONGEST_KEY), field="Idempotency-Key"
        )
    return key or None
