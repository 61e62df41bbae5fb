"""What the deployment's own store can do, found out by trying it once. (Customers' stores: ``storage.probe``.)"""

from __future__ import annotations

from contextlib import suppress
from io import BytesIO
from uuid import uuid4

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from portal.database import assert_no_transaction
from portal.errors import Conflict, NotFound, Unavailable
from portal.network.deadlines import Deadline, time_limit, timed_pools
from portal.network.egress import EgressRefused, guarded_pools
from portal.objectstore import keys
from portal.objectstore.bucket import Bucket
from portal.objectstore.errors import NOT_PUBLIC, UNREACHABLE, StoreUnavailable
from portal.objectstore.location import Location
from portal.objectstore.presign import Presigner, SignedRequest

CONTENT = b"stowage"
TIMEOUT = Timeout(connect=3, read=20)  # seconds
ANSWER_SECONDS = 30  # in all
TEMPORARY = (429, 500, 502, 503, 504)  # says nothing about forms: to be tried again later


def supports_post(bucket: Bucket) -> bool:
    """Whether the store takes form uploads: one is sent, as a browser would, and removed again.

    Raises ``Unavailable`` when no store answers at the browsers' address nor at the servers', and for a fault that may
    pass: guessing "no" would send every upload the other way for a week.
    """
    assert_no_transaction()
    key = keys.probe(uuid4(), "post.txt")
    try:
        send_test_form(bucket.location, key)
        return bucket.head(key) is not None  # a wrong access key shows here, as what it is
    finally:
        bucket.delete(key)


def send_test_form(location: Location, key: str) -> None:
    """Send a small form for ``key`` to the browsers' address, or to the servers' when no store answers there.

    Whether the object exists afterwards is what counts. Raises ``Unavailable`` when no store answers.
    """
    answered = False
    for public in (True, False):
        form = Presigner(location, public=public).presign_post(
            key, content_type="text/plain", size=len(CONTENT), expires_in=300
        )
        status, from_store = _send(form, location)
        if status in TEMPORARY:
            raise StoreUnavailable(UNREACHABLE)
        answered = bool(status) and not 300 <= status < 400  # a redirect does not come from the store
        if from_store:
            break
    if not answered:
        raise StoreUnavailable(UNREACHABLE)


def supports_multipart(bucket: Bucket) -> bool:
    """Whether the store takes an upload in parts and lists them: tried with one small part, which is removed again."""
    key = keys.probe(uuid4(), "parts.txt")
    uploads = bucket.multipart(key)
    upload_id = ""
    try:
        upload_id = uploads.create("text/plain")
        uploads.upload_part(upload_id, 1, BytesIO(CONTENT), len(CONTENT))
        uploads.complete(upload_id, {part.number: part.etag for part in uploads.list_parts(upload_id) or []})
        facts = bucket.head(key)
        return facts is not None and facts.size == len(CONTENT)
    except (NotFound, Conflict, Unavailable):
        if upload_id:
            with suppress(Unavailable, NotFound, Conflict):
                uploads.abort(upload_id)
        return False
    finally:
        bucket.delete(key)


def _send(form: SignedRequest, location: Location) -> tuple[int, bool]:
    """The status (0: no answer), and whether it is a store's answer: a success, or S3's own error document.

    Anything else may be another program: a browser's "localhost" is not the server's.
    """
    fields: dict[str, str | tuple[str, bytes, str]] = {**form.fields, "file": ("probe.txt", CONTENT, "text/plain")}
    try:
        with PoolManager(timeout=TIMEOUT, retries=False) as http, time_limit(Deadline(ANSWER_SECONDS)):
            http.pool_classes_by_scheme = guarded_pools(location.egress) if location.egress else timed_pools()
            answer = http.request("POST", form.url, fields=fields, redirect=False)
    except EgressRefused:
        raise StoreUnavailable(NOT_PUBLIC) from None
    except HTTPError:
        return 0, False
    return answer.status, answer.status < 300 or b"<Error>" in answer.data
