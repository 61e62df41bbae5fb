"""Does a store take form uploads? Asked by sending one, as a browser would. Speaks HTTP only."""

from __future__ import annotations

from collections.abc import Callable

from urllib3 import PoolManager, Timeout
from urllib3.exceptions import HTTPError

from portal.network.deadlines import Deadline, timed_pools, waiting
from portal.network.egress import EgressRefused, guarded_pools
from portal.objectstore.errors import NOT_PUBLIC, unavailable
from portal.objectstore.location import Location
from portal.objectstore.presign import Presigner, SignedRequest

CONTENT = b"stowage"
TIMEOUT = Timeout(connect=3, read=20)  # seconds
WITHIN = 30  # seconds, all in all
PASSING = (429, 500, 502, 503, 504)  # what says nothing of forms: ask again later


def accepts_post(location: Location, key: str, exists: Callable[[str], bool]) -> bool:
    """Send a tiny form for ``key`` to the browsers' address, or to the servers' when no store answers there.

    True when the object is there afterwards. Raises ``Unavailable`` when no store answers, or only a passing fault.
    """
    seen = False
    for public in (True, False):
        form = Presigner(location, public=public).presign_post(
            key, content_type="text/plain", size=len(CONTENT), expires_in=300
        )
        status, is_stores = _status_of(form, location)
        if status in PASSING:
            raise unavailable()
        seen = bool(status) and not 300 <= status < 400  # who leads elsewhere is not the store
        if is_stores:
            break
    if seen:
        return exists(key)  # a refused form is asked, too: a refused access key shows here, as what it is
    raise unavailable()


def _status_of(form: SignedRequest, location: Location) -> tuple[int, bool]:
    # What is neither success nor S3's own error document is hardly a store's answer: seen from a server, the browsers'
    # "localhost" can be another program. (At the servers' address it is one that knows no forms at all.)
    fields: dict[str, str | tuple[str, bytes, str]] = {**form.fields, "file": ("probe.txt", CONTENT, "text/plain")}
    try:
        with PoolManager(timeout=TIMEOUT, retries=False) as http, waiting(Deadline(WITHIN)):
            http.pool_classes_by_scheme = guarded_pools(location.egress) if location.egress else timed_pools()
            answer = http.request("POST", form.url, fields=fields, redirect=False)
    except EgressRefused:
        raise unavailable(NOT_PUBLIC) from None
    except HTTPError:
        return 0, False
    return answer.status, answer.status < 300 or b"<Error>" in answer.data
