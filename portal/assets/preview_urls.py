"""Addresses of derived files: signed for an hour, and the same within half an hour, so that browsers keep the files."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import lru_cache

from portal.objectstore import disposition
from portal.objectstore.bucket import Bucket

WINDOW = 1800  # seconds in which an address stays the same
LIFE = 3600  # seconds that an address is good for; at least half of it is left when it is handed out
CACHING = f"private, max-age={LIFE}, immutable"
REMEMBERED = 8192  # addresses a process remembers, of about 1 KB each


def window() -> int:
    """The start of the present window, in Unix seconds: addresses change when it does."""
    return int(time.time()) // WINDOW * WINDOW


def url(bucket: Bucket, object_key: str, file_name: str, name: str) -> str:
    """The address of the variant ``name`` of the file ``file_name``, to be shown in a page. No network."""
    return _signed(bucket, object_key, shown_name(file_name, name, object_key), window())


def good_until() -> datetime:
    """When an address that is handed out now stops working."""
    return datetime.fromtimestamp(window() + LIFE, UTC)


def shown_name(file_name: str, name: str, object_key: str) -> str:
    """What the variant ``name`` is called when it is saved."""
    stem = file_name.rpartition(".")[0] or file_name
    return f"{stem}-{name}.{object_key.rpartition('.')[2]}"


@lru_cache(maxsize=REMEMBERED)
def _signed(bucket: Bucket, object_key: str, shown_name: str, begins: int) -> str:
    return bucket.presign_get(
        object_key,
        disposition=disposition.inline(shown_name),
        cache_control=CACHING,
        expires_in=LIFE,
        now=datetime.fromtimestamp(begins, UTC),
    )
