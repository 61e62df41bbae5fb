"""What browsers are given: signed URLs and forms (AWS Signature Version 4). Pure arithmetic, no network.

Ours instead of botocore's presigner because a gallery page signs fifty URLs (20 µs each here, 184 µs there) and
because the time can be pinned, which keeps a URL the same, and cached, for a while. The tests compare every signature
with botocore's. The rules: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html and
docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from portal.storage.location import Location

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_LIFE = 604_800  # seconds: the specification's week
STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class SignedRequest:
    """One upload as a browser sends it: ``fields`` before the file in a form, or ``headers`` with the bare body."""

    method: Literal["POST", "PUT"]
    url: str
    fields: dict[str, str]
    headers: dict[str, str]


class Presigner:
    """Signs single requests to one bucket, at the address that browsers reach unless ``public`` is False.

    ``expires_in`` is in seconds from ``now``, at most a week; ``now`` must know its time zone.
    """

    def __init__(self, location: Location, *, public: bool = True) -> None:
        self.location = location
        self._address = location.address(public=public)

    def presign_post(
        self, key: str, *, content_type: str, size: int, sha256: str | None = None, expires_in: int
    ) -> SignedRequest:
        """A form that can store exactly ``size`` bytes of exactly this type at exactly this key.

        With ``sha256`` (hex) the store refuses other content. The file goes last, in a field named ``file``. The form
        can be sent again until it expires.
        """
        stamp = _stamp(None, expires_in)
        fields = {
            "key": self.location.full_key(key),
            "Content-Type": content_type,
            "success_action_status": "201",
            **({"x-amz-checksum-algorithm": "SHA256"} | _checksum(sha256) if sha256 else {}),
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": f"{self.location.access_key_id}/{self._scope(stamp)}",
            "x-amz-date": stamp,
        }
        conditions: list[Any] = [{"bucket": self.location.bucket}, ["content-length-range", size, size]]
        conditions += [{name: value} for name, value in fields.items()]
        until = datetime.strptime(stamp, STAMP) + timedelta(seconds=expires_in)
        document = {"expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"), "conditions": conditions}
        policy = base64.b64encode(json.dumps(document).encode()).decode()
        fields |= {"policy": policy, "x-amz-signature": self._sign(stamp, policy)}
        url = self._address if urlsplit(self._address).path else f"{self._address}/"
        return SignedRequest("POST", url, fields, {})

    def presign_put(
        self, key: str, *, content_type: str, size: int, sha256: str | None = None, expires_in: int
    ) -> SignedRequest:
        """The same promise as a PUT, for stores that refuse forms; ``headers`` must be sent exactly so.

        The length is signed, too; it is not among ``headers`` because browsers set it and let no script do so.
        """
        headers = {"Content-Type": content_type} | (_checksum(sha256) if sha256 else {})
        url = self._url("PUT", key, {}, headers | {"Content-Length": str(size)}, expires_in, None)
        return SignedRequest("PUT", url, {}, headers)

    def presign_get(
        self,
        key: str,
        *,
        disposition: str,
        content_type: str | None = None,
        cache_control: str | None = None,
        expires_in: int,
        now: datetime | None = None,
    ) -> str:
        """A URL that reads one object, answered with these headers (``disposition``: see that module).

        The same ``now`` gives the same URL: round it down to a window, and browsers find the file in their cache.
        """
        answer = {
            "response-content-disposition": disposition,
            "response-content-type": content_type,
            "response-cache-control": cache_control,
        }
        query = {name: value for name, value in answer.items() if value is not None}
        return self._url("GET", key, query, {}, expires_in, now)

    def _url(
        self,
        method: str,
        key: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        expires_in: int,
        now: datetime | None,
    ) -> str:
        stamp = _stamp(now, expires_in)
        address = f"{self._address}/{quote(self.location.full_key(key), safe='/-_.~')}"
        parts = urlsplit(address)
        signed = {"host": parts.netloc} | {name.lower(): value.strip() for name, value in headers.items()}
        names = ";".join(sorted(signed))
        auth = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self.location.access_key_id}/{self._scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(expires_in),
            "X-Amz-SignedHeaders": names,
        }
        all_query = _query(auth | dict(query))
        all_headers = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
        request = f"{method}\n{parts.path}\n{all_query}\n{all_headers}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signature = self._sign(stamp, f"{ALGORITHM}\n{stamp}\n{self._scope(stamp)}\n{digest}")
        return f"{address}?{all_query}&X-Amz-Signature={signature}"

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.location.region}/s3/aws4_request"

    def _sign(self, stamp: str, text: str) -> str:
        key = f"AWS4{self.location.secret_access_key}".encode()
        for part in self._scope(stamp).split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.digest(key, text.encode(), "sha256").hex()


def _checksum(sha256: str) -> dict[str, str]:
    return {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}


def _query(parameters: Mapping[str, str]) -> str:
    pairs = ((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parameters.items())
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _stamp(now: datetime | None, expires_in: int) -> str:
    if not 1 <= expires_in <= LONGEST_LIFE:
        raise ValueError(f"a signature lives 1 to {LONGEST_LIFE} seconds, not {expires_in}")
    return (now or datetime.now(UTC)).astimezone(UTC).strftime(STAMP)
