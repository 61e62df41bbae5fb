"""Where a bucket is, and what a store reports of an object. Plain values, no network."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from flask_babel import gettext as _

from portal.errors import Invalid
from portal.network.egress import Egress
from portal.objectstore import keys

_DEFAULT_PORTS = {"http": 80, "https": 443}
_ENCRYPTION_HEADERS = {
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
}
MAX_ETAG = 100  # characters; 35 are usual
_HOST_LABEL = re.compile(r"[a-z0-9-]+")  # a bucket whose name fits in front of a host and its certificate


@dataclass(frozen=True)
class Location:
    """One bucket and the access key for it.

    ``endpoint`` is where servers reach the store (None: AWS), ``public_endpoint`` where browsers do (None: the same).
    ``addressing_style``: ``path``, ``virtual`` or ``auto`` (virtual on AWS, else path). ``encryption``: ``none``,
    ``sse_s3`` or ``sse_kms`` (``kms_key_id`` None: the store's default key). ``egress`` guards every connection to a
    customer's store; None is for the deployment's own.
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
            raise Invalid(_("A prefix may have at most %(most)s bytes.", most=keys.PREFIX_LIMIT), field="key_prefix")

    @property
    def style(self) -> str:
        """``path`` or ``virtual``, with ``auto`` resolved."""
        if self.addressing_style != "auto":
            return self.addressing_style
        return "virtual" if self.endpoint is None and _HOST_LABEL.fullmatch(self.bucket) else "path"

    @property
    def encryption_parameters(self) -> dict[str, str]:
        """The parameters of boto3's calls with which the store encrypts what is written."""
        algorithm = {"sse_s3": "AES256", "sse_kms": "aws:kms"}.get(self.encryption)
        if algorithm is None:
            return {}
        key = {"SSEKMSKeyId": self.kms_key_id} if algorithm == "aws:kms" and self.kms_key_id else {}
        return {"ServerSideEncryption": algorithm, **key}

    @property
    def encryption_headers(self) -> dict[str, str]:
        """The same as headers of a signed request, or fields of a signed form."""
        return {_ENCRYPTION_HEADERS[name]: value for name, value in self.encryption_parameters.items()}

    def full_key(self, key: str) -> str:
        """The key in the bucket: the profile's prefix and ``key``."""
        prefix = self.key_prefix.strip("/")
        return f"{prefix}/{key}" if prefix else key

    def without_prefix(self, full_key: str) -> str:
        """The reverse of ``full_key``."""
        return full_key.removeprefix(self.full_key(""))

    def address(self, *, public: bool) -> str:
        """The bucket's URL without a final slash, for browsers (``public``) or for servers."""
        parts = urlsplit((public and self.public_endpoint) or self.endpoint or aws_endpoint(self.region))
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname or ""
        if parts.port and parts.port != _DEFAULT_PORTS.get(parts.scheme):
            host = f"{host}:{parts.port}"
        path = parts.path.rstrip("/")
        if self.style == "virtual":
            return f"{parts.scheme}://{self.bucket}.{host}{path}"
        return f"{parts.scheme}://{host}{path}/{self.bucket}"


@dataclass(frozen=True)
class ObjectFacts:
    """What a store reports of an object: ``size`` in bytes, ``etag`` without quotes, ``sha256`` in hex.

    ``sha256`` is None unless the object was stored with a checksum of its whole content, which the store verified.
    """

    size: int
    etag: str
    content_type: str | None
    sha256: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> ObjectFacts:
        """From boto3's answer to HeadObject. Raises ``ValueError`` or ``LookupError`` for values that make no sense."""
        if answer["ContentLength"] < 0 or len(answer.get("ETag", "")) > MAX_ETAG:
            raise ValueError("no object has such a size, or such an ETag")
        # The checksum of a multipart upload is a hash of hashes and ends in "-N": it is not the content's SHA-256.
        checksum = answer.get("ChecksumSHA256") or "-"
        return cls(
            size=answer["ContentLength"],
            etag=answer.get("ETag", "").strip('"'),
            content_type=answer.get("ContentType"),
            sha256=None if "-" in checksum else base64.b64decode(checksum).hex(),
        )


def aws_endpoint(region: str) -> str:
    """AWS's endpoint for S3 in a region (docs.aws.amazon.com/general/latest/gr/s3.html)."""
    return f"https://s3.{region}.amazonaws.com" + (".cn" if region.startswith("cn-") else "")
