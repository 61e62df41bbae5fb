"""Where a bucket is and what a store says of an object. Plain values, no network."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from portal.errors import Invalid
from portal.network.egress import Egress
from portal.objectstore import keys

_DEFAULT_PORTS = {"http": 80, "https": 443}
_SEALING_HEADERS = {
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
}
LONGEST_ETAG = 100  # characters; 35 are usual
_HOST_LABEL = re.compile(r"[a-z0-9-]+")  # a bucket whose name fits in front of a host and its certificate


@dataclass(frozen=True)
class Location:
    """One bucket, as servers reach it (``endpoint``; None: AWS) and as browsers do (``public_endpoint``; None: same).

    ``addressing_style`` is ``path``, ``virtual`` or ``auto`` (virtual on AWS, else path); ``encryption`` is ``none``,
    ``sse_s3`` or ``sse_kms`` (without ``kms_key_id``: the store's own default key). ``egress`` guards every connection
    to a customer's store; None is for the deployment's own.
    """

    endpoint: str | None
    public_endpoint: str | None
    region: str
    bucket: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    key_prefix: str = ""
    addressing_style: str = "path"
    encryption: str = "none"
    kms_key_id: str | None = None
    egress: Egress | None = None

    def __post_init__(self) -> None:
        if len(self.key_prefix.encode()) > keys.PREFIX_LIMIT:
            raise Invalid(f"The prefix may be at most {keys.PREFIX_LIMIT} bytes long.", field="key_prefix")

    @property
    def style(self) -> str:
        """``path`` or ``virtual``: ``auto`` decided."""
        if self.addressing_style != "auto":
            return self.addressing_style
        return "virtual" if self.endpoint is None and _HOST_LABEL.fullmatch(self.bucket) else "path"

    @property
    def sealing(self) -> dict[str, str]:
        """How the store is asked to encrypt what is written, as parameters of the S3 API."""
        algorithm = {"sse_s3": "AES256", "sse_kms": "aws:kms"}.get(self.encryption)
        if algorithm is None:
            return {}
        key = {"SSEKMSKeyId": self.kms_key_id} if algorithm == "aws:kms" and self.kms_key_id else {}
        return {"ServerSideEncryption": algorithm, **key}

    @property
    def sealing_headers(self) -> dict[str, str]:
        """The same as headers of a signed request and fields of a signed form."""
        return {_SEALING_HEADERS[name]: value for name, value in self.sealing.items()}

    def full_key(self, key: str) -> str:
        """``key`` as it stands in the bucket, behind the profile's prefix."""
        prefix = self.key_prefix.strip("/")
        return f"{prefix}/{key}" if prefix else key

    def own_key(self, full_key: str) -> str:
        """The reverse of ``full_key``."""
        return full_key.removeprefix(self.full_key(""))

    def address(self, *, public: bool) -> str:
        """The bucket's own URL without a final slash, for browsers or for servers."""
        parts = urlsplit((public and self.public_endpoint) or self.endpoint or amazon(self.region))
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        if parts.port and parts.port != _DEFAULT_PORTS.get(parts.scheme):
            host = f"{host}:{parts.port}"
        path = parts.path.rstrip("/")
        if self.style == "virtual":
            return f"{parts.scheme}://{self.bucket}.{host}{path}"
        return f"{parts.scheme}://{host}{path}/{self.bucket}"


@dataclass(frozen=True)
class ObjectFacts:
    """What the store says of an object. ``etag`` has no quotes; ``sha256`` (hex) only where the store checked it."""

    size: int
    etag: str
    content_type: str | None
    sha256: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ObjectFacts:
        """From a store's answer to HeadObject. Raises ``ValueError`` or ``LookupError`` for what is none."""
        if answer["ContentLength"] < 0 or len(answer.get("ETag", "")) > LONGEST_ETAG:
            raise ValueError("no object has such a size, or such an ETag")
        # A composite checksum, of a multipart upload, ends in "-N": it is no SHA-256 of the content.
        checksum = answer.get("ChecksumSHA256") or "-"
        return cls(
            size=answer["ContentLength"],
            etag=answer.get("ETag", "").strip('"'),
            content_type=answer.get("ContentType"),
            sha256=None if "-" in checksum else base64.b64decode(checksum).hex(),
        )


def amazon(region: str) -> str:
    """AWS's own endpoint for a region."""
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
