"""Calls to a store through the portal's own S3 client, answered with status and code instead of exceptions."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, ConnectTimeoutError, ReadTimeoutError
from urllib3.exceptions import HTTPError

from portal.network.deadlines import Deadline, time_limit
from portal.objectstore.client import connect
from portal.objectstore.location import Location

log = logging.getLogger(__name__)

READ_TIMEOUT = 15  # seconds without a byte
ANSWER_SECONDS = 30  # for one call, in all
MAX_BODY = 12 * 1024**2  # bytes of an object that are read: more than any of the probe's own


@dataclass(frozen=True)
class Answer:
    """What came back. ``status`` 0: nothing. ``code``: S3's error code, or ``timeout`` or ``broken`` of ours."""

    status: int
    code: str = ""
    data: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether the store did it."""
        return 200 <= self.status < 300

    @property
    def missing(self) -> bool:
        """Whether the store says that there is no such object or rule."""
        return self.status == 404 and self.code != "NoSuchBucket"

    @property
    def etag(self) -> str:
        """Without quotes; empty when the store gave none."""
        return str(self.data.get("ETag", "")).strip('"')


class StoreClient:
    """One bucket's client: ``Bucket`` is added to every call, keys are full keys."""

    def __init__(self, location: Location) -> None:
        self._client: Any = connect(location, READ_TIMEOUT)
        self._bucket = location.bucket

    def call(self, operation: str, **parameters: Any) -> Answer:
        """Call a boto3 method by its name. Never raises for what a store or a network does."""
        try:
            with time_limit(Deadline(ANSWER_SECONDS)):
                data = getattr(self._client, operation)(Bucket=self._bucket, **parameters)
                if "Body" in data:
                    data["Body"] = _read(data["Body"])
            return _answer(200, "", data)
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))[:60]
            answer = _answer(0, code, error.response)
            log.info("probe: %s answered %s %s", operation, answer.status, code)
            return answer
        except (ConnectTimeoutError, ReadTimeoutError, TimeoutError) as error:
            return _no_answer(operation, "timeout", error)
        except (BotoCoreError, HTTPError, OSError) as error:
            return _no_answer(operation, "broken", error)

    def list_bucket_names(self) -> list[str] | None:
        """Every bucket that the key can see; None when it may not list them."""
        try:
            with time_limit(Deadline(ANSWER_SECONDS)):
                return [entry["Name"] for entry in self._client.list_buckets().get("Buckets", [])]
        except (ClientError, BotoCoreError, HTTPError, OSError):
            return None

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _read(body: Any) -> bytes:
    found = b""
    try:
        # Until an empty read: only that one checks that the content was complete.
        while len(found) < MAX_BODY and (piece := body.read(MAX_BODY - len(found))):
            found += piece
        return found
    finally:
        body.close()


def _answer(status: int, code: str, data: Mapping[str, Any]) -> Answer:
    meta = data.get("ResponseMetadata", {})
    return Answer(meta.get("HTTPStatusCode", status), code, data, meta.get("HTTPHeaders", {}))


def _no_answer(operation: str, code: str, error: Exception) -> Answer:
    log.info("probe: %s: %s", operation, type(error).__name__)
    return Answer(0, code)
