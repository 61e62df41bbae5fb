"""Addresses of derived files: signed for an hour, and the same within half an hour, so that browsers keep the files."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from portal.objectstore import disposition
from portal.objectstore.bucket import Bucket

WINDOW = 1800  # seconds in which an address stays the same
LIFE = 3600  # seconds that an address is good for; at least half of it is left when it is handed out
CACHING = f"private, max-age={LIFE}, immutable"


def window() -> int:
    """The start of the present window, in Unix seconds: addresses change when it does."""
    return int(time.time()) // WINDOW * WINDOW


def url(bucket: Bucket, object_key: str, file_name: str, name: str) -> str:
    """The address of the variant ``name`` of the file ``file_name``, to be shown in a page. No network.

    Within one window the signature is the same: else browsers would load each picture again with every page.
    """
    return bucket.presign_get(
        object_key,
        disposition=disposition.inline(shown_name(file_name, name, object_key)),
        cache_control=CACHING,
        expires_in=LIFE,
        now=datetime.fromtimestamp(window(), UTC),
    )


def good_until() -> datetime:
    """When an address that is handed out now stops working."""
    return datetime.fromtimestamp(window() + LIFE, UTC)


def shown_name(file_name: str, name: str, object_key: str) -> str:
    """What the variant ``name`` is called when it is saved."""
    stem = file_name.rpartition(".")[0] or file_name
    return f"{stem}-{name}.{object_key.rpartition('.')[2]}"
