"""What browsers are given: signed URLs and forms (AWS Signature Version 4). Pure arithmetic, no network.

Ours instead of botocore's presigner because a gallery page signs fifty URLs (15 µs each here, 184 µs there) and
because the time can be pinned, which keeps a URL the same, and cached, for a while. The tests compare every signature
with botocore's. The rules: docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html and
docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from portal.objectstore import keys
from portal.objectstore.location import Location

ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING = hashlib.sha256().hexdigest()  # of a request without a body
LONGEST_LIFE = 604_800  # seconds: the specification's week
STAMP = "%Y%m%dT%H%M%SZ"
STABLE_URLS = 2048  # remembered for each bucket, about 1 KB each: pages show the same pictures again and again

Pairs = tuple[tuple[str, str], ...]


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
        parts = urlsplit(self._address)
        self._host, self._path = parts.netloc, parts.path
        self.origin = (parts.hostname, parts.port, parts.scheme)
        self._stable_url = lru_cache(STABLE_URLS)(self._url)

    def presign_post(
        self,
        key: str,
        *,
        content_type: str,
        size: int,
        sha256: str | None = None,
        expires_in: int,
        now: datetime | None = None,
    ) -> SignedRequest:
        """A form that can store exactly ``size`` bytes of exactly this type at exactly this key.

        With ``sha256`` (hex) the store refuses other content. The file goes last, in a field named ``file``. The form
        can be sent again until it expires.
        """
        if keys.is_held(key):
            raise ValueError("nothing is ever signed for what is held back")
        now = now or datetime.now(UTC)
        stamp = _stamp(now, expires_in)
        fields = {
            "key": self.location.full_key(key),
            "Content-Type": content_type,
            "success_action_status": "201",
            **({"x-amz-checksum-algorithm": "SHA256"} | _checksum(sha256) if sha256 else {}),
            **self.location.sealing_headers,
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": f"{self.location.access_key_id}/{self._scope(stamp)}",
            "x-amz-date": stamp,
        }
        conditions: list[Any] = [{"bucket": self.location.bucket}, ["content-length-range", size, size]]
        conditions += [{name: value} for name, value in fields.items()]
        until = now.astimezone(UTC) + timedelta(seconds=expires_in)
        document = {"expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}
        policy = base64.b64encode(json.dumps(document).encode()).decode()
        fields |= {"policy": policy, "x-amz-signature": self._sign(stamp, policy)}
        url = self._address if self._path else f"{self._address}/"
        return SignedRequest("POST", url, fields, {})

    def presign_put(
        self,
        key: str,
        *,
        content_type: str,
        size: int,
        sha256: str | None = None,
        expires_in: int,
        now: datetime | None = None,
    ) -> SignedRequest:
        """The same promise as a PUT, for stores that refuse forms; ``headers`` must be sent exactly so.

        The length is signed, too; it is not among ``headers`` because browsers set it and let no script do so.
        """
        headers = {
            "Content-Type": content_type,
            **(_checksum(sha256) if sha256 else {}),
            **self.location.sealing_headers,
        }
        signed = {name.lower(): value for name, value in headers.items()} | {"content-length": str(size)}
        url = self._url("PUT", key, (), tuple(signed.items()), expires_in, _stamp(now, expires_in))
        return SignedRequest("PUT", url, {}, headers)

    def presign_part(self, key: str, upload_id: str, number: int, *, size: int, expires_in: int) -> SignedRequest:
        """One part of an upload in parts, by PUT; its length is signed, as in ``presign_put``."""
        query = (("partNumber", str(number)), ("uploadId", upload_id))
        length = (("content-length", str(size)),)
        url = self._url("PUT", key, query, length, expires_in, _stamp(None, expires_in))
        return SignedRequest("PUT", url, {}, {})

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
        answer = (
            ("response-content-disposition", disposition),
            ("response-content-type", content_type),
            ("response-cache-control", cache_control),
        )
        query = tuple((name, value) for name, value in answer if value is not None)
        sign = self._stable_url if now else self._url
        return sign("GET", key, query, (), expires_in, _stamp(now, expires_in))

    def _url(self, method: str, key: str, query: Pairs, headers: Pairs, expires_in: int, stamp: str) -> str:
        if keys.is_held(key):
            raise ValueError("nothing is ever signed for what is held back")
        return self._signed(method, key, query, headers, expires_in, stamp)

    def own_head(self, key: str, headers: dict[str, str], now: datetime | None = None) -> tuple[str, dict[str, str]]:
        """The path and the headers with which the portal itself asks about one object, also one that is held back.

        Nobody else is given this. ``headers`` have names in lower case, and are among those of the answer.
        """
        stamp = _stamp(now, 1)
        path = f"{self._path}/{quote(self.location.full_key(key), safe='/-_.~')}"
        sent = {"host": self._host, **headers, "x-amz-content-sha256": NOTHING, "x-amz-date": stamp}
        pairs = sorted(sent.items())
        names = ";".join(name for name, _ in pairs)
        lines = "".join(f"{name}:{value}\n" for name, value in pairs)
        signature = self._sign_request(stamp, f"HEAD\n{path}\n\n{lines}\n{names}\n{NOTHING}")
        credential = f"{self.location.access_key_id}/{self._scope(stamp)}"
        words = f"{ALGORITHM} Credential={credential}, SignedHeaders={names}, Signature={signature}"
        return path, sent | {"authorization": words}

    def _signed(self, method: str, key: str, query: Pairs, headers: Pairs, expires_in: int, stamp: str) -> str:
        path = "/" + quote(self.location.full_key(key), safe="/-_.~")
        signed = sorted((("host", self._host), *headers))
        names = ";".join(name for name, _ in signed)
        auth = _auth_query(self.location.access_key_id, self._scope(stamp), stamp, expires_in, names)
        all_query = "&".join(f"{name}={value}" for name, value in sorted((*auth, *_quoted(query))))
        all_headers = "".join(f"{name}:{value}\n" for name, value in signed)
        request = f"{method}\n{self._path}{path}\n{all_query}\n{all_headers}\n{names}\nUNSIGNED-PAYLOAD"
        return f"{self._address}{path}?{all_query}&X-Amz-Signature={self._sign_request(stamp, request)}"

    def _sign_request(self, stamp: str, request: str) -> str:
        digest = hashlib.sha256(request.encode()).hexdigest()
        return self._sign(stamp, f"{ALGORITHM}\n{stamp}\n{self._scope(stamp)}\n{digest}")

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self.location.region}/s3/aws4_request"

    def _sign(self, stamp: str, text: str) -> str:
        key = _key_of_the_day(self.location.secret_access_key, self._scope(stamp))
        return hmac.digest(key, text.encode(), "sha256").hex()


@lru_cache(64)
def _key_of_the_day(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(64)
def _auth_query(access_key_id: str, scope: str, stamp: str, expires_in: int, names: str) -> Pairs:
    return _quoted(
        (
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", f"{access_key_id}/{scope}"),
            ("X-Amz-Date", stamp),
            ("X-Amz-Expires", str(expires_in)),
            ("X-Amz-SignedHeaders", names),
        )
    )


def _quoted(pairs: Pairs) -> Pairs:
    return tuple((name, quote(value, safe="-_.~")) for name, value in pairs)


def _checksum(sha256: str) -> dict[str, str]:
    return {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}


def _stamp(now: datetime | None, expires_in: int) -> str:
    if not 1 <= expires_in <= LONGEST_LIFE:
        raise ValueError(f"a signature lives 1 to {LONGEST_LIFE} seconds, not {expires_in}")
    return (now or datetime.now(UTC)).astimezone(UTC).strftime(STAMP)
