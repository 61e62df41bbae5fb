"""What the steps share: whose place is asked, by which clients, and what was learned so far."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any
from uuid import UUID

from portal.objectstore import keys
from portal.objectstore.location import Location
from portal.objectstore.ownership_marker import Owner
from portal.objectstore.presign import Presigner
from portal.storage.probe.browser import Browser
from portal.storage.probe.client import Answer, Asker

TEXT = "text/plain"
CONTENT = b"Stowage asks what this store does.\n"

# What a profile's capabilities name: False until it was seen. ``encryption`` names what was applied when asked for.
CAPABILITIES = (
    *("list", "post", "put", "sha256", "multipart", "list_parts", "abort", "copy", "conditional_copy"),
    *("conditional_write", "range", "disposition", "cors", "abort_rule", "versioning", "delete_versions", "private"),
    *("marker", "marker_lost"),
)


@dataclass(frozen=True)
class Subject:
    """What is probed, for whom. ``origin`` is the portal's own, ``probe_id`` names the place for probe objects.

    ``marked``: the owner's marker was seen here before, and nobody has said since that its absence is all right.
    """

    location: Location
    origin: str
    owner: Owner
    probe_id: UUID
    marked: bool = False


class Trial:
    """One run. ``can`` becomes the profile's capabilities."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self.location = subject.location
        self.store = Asker(subject.location)
        self.browser = Browser(subject.location.egress)
        self.signer = Presigner(subject.location)
        self.can: dict[str, Any] = dict.fromkeys(CAPABILITIES, False) | {"encryption": []}

    def key(self, name: str) -> str:
        """A probe object's key, without the profile's prefix, as the signer takes it."""
        return keys.probe(self.subject.probe_id, name)

    def full(self, name: str) -> str:
        """The same as it stands in the bucket."""
        return self.location.full_key(self.key(name))

    @property
    def place(self) -> str:
        """Where everything of this workspace lies, as people write it: ``bucket/prefix/``."""
        return f"{self.location.bucket}/{self.location.full_key('')}"

    def put(self, name: str, content: bytes = CONTENT, **options: Any) -> Answer:
        """Store a probe object as the portal stores its own: encrypted as the profile says, unless told otherwise."""
        what = {"ContentType": TEXT, **(options or self.location.encryption_parameters)}
        return self.store.ask("put_object", Key=self.full(name), Body=content, **what)

    def head(self, name: str) -> Answer:
        """Look at a probe object."""
        return self.store.ask("head_object", Key=self.full(name))

    def get(self, name: str) -> Answer:
        """Read a probe object; the bytes are in ``data["Body"]``."""
        return self.store.ask("get_object", Key=self.full(name))

    def holds(self, name: str, content: bytes) -> bool:
        """Whether exactly this content can be read there."""
        answer = self.get(name)
        return answer.ok and answer.data["Body"] == content

    @cached_property
    def takes_from_anybody(self) -> bool:
        """Whether something can be stored without any key; asked once."""
        url = f"{self.location.address(public=True)}/{self.full('anybody.txt')}"
        return self.browser.send("PUT", url, body=CONTENT, headers={"Content-Type": TEXT}).ok

    def close(self) -> None:
        """Let the connections go."""
        self.store.close()
        self.browser.close()
