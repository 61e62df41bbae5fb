"""Requests and answers about uploads, as JSON."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, JsonValue, StringConstraints, WithJsonSchema

from portal.folders.forms import LONGEST_PATH
from portal.uploads.begin import Spec
from portal.uploads.models import UploadState
from portal.uploads.part_plan import MOST_PARTS
from portal.web.body import Answer, Body, Time
from portal.web.problems import ProblemView

MOST_IN_A_BATCH = 100
MOST_PARTS_AT_ONCE = 100
LONGEST_KEY = 200  # characters
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]


class BeginUpload(Body):
    """The announced file: its exact size in bytes, and the SHA-256 in hex where it is known.

    ``folder_path``: folders below ``folder_id``, or below the top of the library, such as ``holiday/day 1``; those that
    are missing are created, which needs the right to create folders.
    """

    file_name: str
    mime_type: str = Field(max_length=1000)
    size_bytes: int = Field(ge=0, le=2**63 - 1)
    sha256: Sha256 | None = None
    library_id: UUID | None = None
    folder_id: UUID | None = None
    folder_path: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_PATH)] | None = None
    resumable_protocol: Literal["s3_multipart", "tus"] | None = None

    def spec(self) -> Spec:
        """The announced file, as the service takes it."""
        return Spec(
            file_name=self.file_name,
            mime_type=self.mime_type,
            size_bytes=self.size_bytes,
            sha256=self.sha256.lower() if self.sha256 else None,
            library_id=self.library_id,
            folder_id=self.folder_id,
            folder_path=self.folder_path,
            in_parts=self.resumable_protocol == "s3_multipart",
        )


class BeginOne(BeginUpload):
    """A file of a batch; its key means what the header Idempotency-Key means for a single one."""

    idempotency_key: str | None = Field(default=None, max_length=LONGEST_KEY)


class CommitUpload(Body):
    """What the client knows of the bytes it sent; both are optional."""

    sha256: Sha256 | None = None
    etag: str | None = Field(default=None, max_length=200)


class CommitOne(CommitUpload):
    """An upload of a batch."""

    upload_id: UUID


class BeginBatch(Body):
    """Up to 100 files, each answered by itself."""

    items: list[Annotated[JsonValue, WithJsonSchema(BeginOne.model_json_schema())]] = Field(
        min_length=1, max_length=MOST_IN_A_BATCH
    )


class CommitBatch(Body):
    """Up to 100 uploads whose bytes are there, each answered by itself."""

    items: list[Annotated[JsonValue, WithJsonSchema(CommitOne.model_json_schema())]] = Field(
        min_length=1, max_length=MOST_IN_A_BATCH
    )


class SignParts(Body):
    """Which parts are sent next; numbers begin at 1."""

    part_numbers: list[Annotated[int, Field(ge=1, le=MOST_PARTS)]] = Field(min_length=1, max_length=MOST_PARTS_AT_ONCE)


class SignedPartView(Answer):
    """The PUT that sends one part, with exactly these headers and exactly the part's length."""

    part_number: int
    url: str
    headers: dict[str, str]


class SignedPartsView(Answer):
    """Requests that send the parts, valid until ``expires_at``."""

    parts: list[SignedPartView]
    expires_at: Time


class OpenUploadView(Answer):
    """A session that still takes bytes."""

    upload_id: UUID
    state: UploadState
    method: str
    file_name: str
    size_bytes: int
    sha256: str | None
    library_id: UUID
    folder_id: UUID | None
    part_size: int | None
    created_at: Time
    expires_at: Time


class PartView(Answer):
    """One part of a multipart upload that has arrived."""

    part_number: int
    size_bytes: int
    etag: str


class ReasonView(Answer):
    """Why an upload ended."""

    code: str
    detail: str


class UploadView(Answer):
    """A session, and the request that sends its bytes while it is open.

    With ``method`` ``s3_multipart`` there is no such request: cut the file into parts of ``part_size`` bytes (the last
    one is what is left), sign them with POST …/parts, send them, commit.
    """

    upload_id: UUID
    state: UploadState
    provider: Literal["managed", "byos"]
    method: str
    upload_url: str | None
    fields: dict[str, str]
    headers: dict[str, str]
    part_size: int | None
    expires_at: Time
    file_name: str
    size_bytes: int
    library_id: UUID
    folder_id: UUID | None
    reason: ReasonView | None
    parts: list[PartView]
    asset_id: UUID | None


class CommittedView(Answer):
    """The asset that an upload became; ``status`` is the asset's."""

    upload_id: UUID
    asset_id: UUID
    status: str


class BatchView(Answer):
    """An upload or a problem each, in the order of the request."""

    items: list[UploadView | ProblemView]


class CommittedBatchView(Answer):
    """An asset or a problem each, in the order of the request."""

    items: list[CommittedView | ProblemView]
