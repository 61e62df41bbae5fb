"""Presigned URLs and forms for browsers (AWS Signature Version 4). Pure arithmetic, no network.

Our own arithmetic instead of botocore's, which can't pin the time: docs/adr/0015-our-own-presigning.md. The tests
compare every signature with botocore's. The rules:
docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html and
docs.aws.amazon.com/AmazonS3/latest/API/sigv4-UsingHTTPPOST.html
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from portal.objectstore import keys
from portal.objectstore.location import Location

ALGORITHM = "AWS4-HMAC-SHA256"
MAX_EXPIRES_IN = 604_800  # seconds: the specification's week
DATE_FORMAT = "%Y%m%dT%H%M%SZ"

Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class SignedRequest:
    """One upload as a browser sends it: a form with ``fields`` before the file, or a PUT with ``headers``."""

    method: Literal["POST", "PUT"]
    url: str
    fields: dict[str, str]
    headers: dict[str, str]


class Presigner:
    """Signs single requests to one bucket, at the address that browsers reach unless ``public`` is False.

    ``expires_in`` is in seconds from ``now`` (None: this moment; else with a time zone), at most a week. Every method
    raises ``ValueError`` for another ``expires_in``, and for a key in quarantine: nothing is ever signed for it.
    """

    def __init__(self, location: Location, *, public: bool = True) -> None:
        self.location = location
        self._address = location.address(public=public)
        parts = urlsplit(self._address)
        self._host, self._path = parts.netloc, parts.path

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

        With ``sha256`` (hex) the store refuses other content. The file comes last, in a field named ``file``. The form
        can be sent again until it expires.
        """
        _refuse_quarantine(key)
        now = now or datetime.now(UTC)
        date = _amz_date(now, expires_in)
        fields = {
            "key": self.location.full_key(key),
            "Content-Type": content_type,
            "success_action_status": "201",
            **({"x-amz-checksum-algorithm": "SHA256"} | _checksum(sha256) if sha256 else {}),
            **self.location.encryption_headers,
            "x-amz-algorithm": ALGORITHM,
            "x-amz-credential": f"{self.location.access_key_id}/{self._credential_scope(date)}",
            "x-amz-date": date,
        }
        conditions: list[Any] = [{"bucket": self.location.bucket}, ["content-length-range", size, size]]
        conditions += [{name: value} for name, value in fields.items()]
        until = now.astimezone(UTC) + timedelta(seconds=expires_in)
        document = {"expiration": f"{until:%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}
        policy = base64.b64encode(json.dumps(document).encode()).decode()
        fields |= {"policy": policy, "x-amz-signature": self._sign(date, policy)}
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
        """The same as a PUT, for stores that refuse forms; the request's ``headers`` must be sent exactly.

        The length is signed, too. It is not among ``headers``: browsers set it and forbid scripts to.
        """
        headers = {
            "Content-Type": content_type,
            **(_checksum(sha256) if sha256 else {}),
            **self.location.encryption_headers,
        }
        signed = {name.lower(): value for name, value in headers.items()} | {"content-length": str(size)}
        url = self._url("PUT", key, (), tuple(signed.items()), expires_in, _amz_date(now, expires_in))
        return SignedRequest("PUT", url, {}, headers)

    def presign_part(self, key: str, upload_id: str, number: int, *, size: int, expires_in: int) -> SignedRequest:
        """One part of a multipart upload, by PUT, of exactly ``size`` bytes (see ``MultipartUploads``)."""
        query = (("partNumber", str(number)), ("uploadId", upload_id))
        length = (("content-length", str(size)),)
        url = self._url("PUT", key, query, length, expires_in, _amz_date(None, expires_in))
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
        """A URL that reads one object; the store answers with these headers (``disposition``: see that module).

        The same ``now`` gives the same URL: rounded down to a window, it lets browsers find the file in their cache.
        """
        answer = (
            ("response-content-disposition", disposition),
            ("response-content-type", content_type),
            ("response-cache-control", cache_control),
        )
        query = tuple((name, value) for name, value in answer if value is not None)
        return self._url("GET", key, query, (), expires_in, _amz_date(now, expires_in))

    def get_signer(self, *, cache_control: str, expires_in: int, now: datetime) -> Callable[[str, str | None], str]:
        """A function from a key and its ``disposition`` (or None) to what ``presign_get`` returns for them.

        For pages, which sign a hundred URLs at one moment: what is the same for all of them is computed once.
        """
        date = _amz_date(now, expires_in)
        scope = self._credential_scope(date)
        auth = _auth_query(self.location.access_key_id, scope, date, expires_in, "host")
        constant = (*auth, *_quoted((("response-cache-control", cache_control),)))
        query = "&".join(f"{name}={value}" for name, value in constant)
        signing_key = _signing_key(self.location.secret_access_key, scope)

        def sign(key: str, disposition: str | None) -> str:
            _refuse_quarantine(key)
            path = "/" + quote(self.location.full_key(key), safe="/-_.~")
            all_query = query
            if disposition is not None:  # the specification sorts by encoded name: this is the last
                all_query = f"{query}&response-content-disposition={quote(disposition, safe='-_.~')}"
            canonical = f"GET\n{self._path}{path}\n{all_query}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
            digest = hashlib.sha256(canonical.encode()).hexdigest()
            to_sign = f"{ALGORITHM}\n{date}\n{scope}\n{digest}"
            signature = hmac.digest(signing_key, to_sign.encode(), "sha256").hex()
            return f"{self._address}{path}?{all_query}&X-Amz-Signature={signature}"

        return sign

    def _url(self, method: str, key: str, query: Pairs, headers: Pairs, expires_in: int, date: str) -> str:
        _refuse_quarantine(key)
        path = "/" + quote(self.location.full_key(key), safe="/-_.~")
        signed = sorted((("host", self._host), *headers))
        names = ";".join(name for name, _ in signed)
        auth = _auth_query(self.location.access_key_id, self._credential_scope(date), date, expires_in, names)
        # The specification sorts by encoded name; the signature itself is not signed and goes last.
        all_query = "&".join(f"{name}={value}" for name, value in sorted((*auth, *_quoted(query))))
        all_headers = "".join(f"{name}:{value}\n" for name, value in signed)
        canonical = f"{method}\n{self._path}{path}\n{all_query}\n{all_headers}\n{names}\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        signature = self._sign(date, f"{ALGORITHM}\n{date}\n{self._credential_scope(date)}\n{digest}")
        return f"{self._address}{path}?{all_query}&X-Amz-Signature={signature}"

    def _credential_scope(self, date: str) -> str:
        return f"{date[:8]}/{self.location.region}/s3/aws4_request"

    def _sign(self, date: str, text: str) -> str:
        key = _signing_key(self.location.secret_access_key, self._credential_scope(date))
        return hmac.digest(key, text.encode(), "sha256").hex()


@lru_cache(64)  # one a day and secret
def _signing_key(secret: str, scope: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key


@lru_cache(64)
def _auth_query(access_key_id: str, scope: str, date: str, expires_in: int, names: str) -> Pairs:
    return _quoted(
        (
            ("X-Amz-Algorithm", ALGORITHM),
            ("X-Amz-Credential", f"{access_key_id}/{scope}"),
            ("X-Amz-Date", date),
            ("X-Amz-Expires", str(expires_in)),
            ("X-Amz-SignedHeaders", names),
        )
    )


def _quoted(pairs: Pairs) -> Pairs:
    return tuple((name, quote(value, safe="-_.~")) for name, value in pairs)


def _refuse_quarantine(key: str) -> None:
    if keys.is_quarantined(key):
        raise ValueError("nothing is ever signed for a key in quarantine")


def _checksum(sha256: str) -> dict[str, str]:
    return {"x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode()}


def _amz_date(now: datetime | None, expires_in: int) -> str:
    if not 1 <= expires_in <= MAX_EXPIRES_IN:
        raise ValueError(f"a signature is valid for 1 to {MAX_EXPIRES_IN} seconds, not {expires_in}")
    return (now or datetime.now(UTC)).astimezone(UTC).strftime(DATE_FORMAT)
