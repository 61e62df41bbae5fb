"""Addresses of derived files: signed for an hour, and the same within half an hour, so that browsers keep the files."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from portal.objectstore import disposition
from portal.objectstore.bucket import Bucket
from portal.storage import profiles
from portal.storage import service as storage

WINDOW = 1800  # seconds in which an address stays the same
LIFE = 3600  # seconds that an address is good for; at least half of it is left when it is handed out
CACHING = f"private, max-age={LIFE}, immutable"


def window() -> int:
    """The start of the present window, in Unix seconds: addresses change when it does."""
    return int(time.time()) // WINDOW * WINDOW


def signer(bucket: Bucket) -> Callable[[str, str | None], str]:
    """What signs addresses of derived files: from an object key, and a disposition or None. No network.

    Within one window the signature is the same: else browsers would load each picture again with every page.
    """
    start = datetime.fromtimestamp(window(), UTC)
    return bucket.get_signer(cache_control=CACHING, expires_in=LIFE, now=start)


def url(bucket: Bucket, object_key: str, file_name: str, name: str) -> str:
    """The address of the variant ``name`` of ``file_name``, shown inline, and saved under a name made of both."""
    return signer(bucket)(object_key, disposition.inline(shown_name(file_name, name, object_key)))


@dataclass(frozen=True)
class PreviewUrls:
    """The addresses of derived files in one workspace; each storage profile is looked up once."""

    workspace_id: UUID
    _signers: dict[UUID, Callable[[str, str | None], str]] = field(default_factory=dict, compare=False, repr=False)

    def picture(self, profile_id: UUID, object_key: str) -> str:
        """The address of a picture of a page, without a name for saving. Raises ``NotFound``, ``Unavailable``."""
        return self._signer(profile_id)(object_key, None)

    def file(self, profile_id: UUID, object_key: str, file_name: str, name: str) -> str:
        """The same as ``url``, for one of many. Raises as ``picture`` does."""
        return self._signer(profile_id)(object_key, disposition.inline(shown_name(file_name, name, object_key)))

    def _signer(self, profile_id: UUID) -> Callable[[str, str | None], str]:
        if profile_id not in self._signers:
            known = (each for each in profiles.known_profiles(self.workspace_id) if each.id == profile_id)
            profile = next(known, None) or storage.find_profile(self.workspace_id, profile_id)
            self._signers[profile_id] = signer(storage.bucket_for(profile))
        return self._signers[profile_id]


def good_until() -> datetime:
    """When an address that is handed out now stops working."""
    return datetime.fromtimestamp(window() + LIFE, UTC)


def shown_name(file_name: str, name: str, object_key: str) -> str:
    """What the variant ``name`` is called when it is saved."""
    stem = file_name.rpartition(".")[0] or file_name
    return f"{stem}-{name}.{object_key.rpartition('.')[2]}"
