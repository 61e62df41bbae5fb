"""What the steps share: the bucket and prefix under test, clients for them, and the capabilities found so far."""

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
from portal.storage.probe.client import Answer, StoreClient

TEXT = "text/plain"
CONTENT = b"Stowage tests what this store does.\n"

# A profile's capabilities: False until a step has shown it. ``encryption`` lists what was applied when requested.
CAPABILITIES = (
    *("list", "post", "put", "sha256", "multipart", "list_parts", "abort", "copy", "conditional_copy"),
    *("conditional_write", "range", "disposition", "cors", "abort_rule", "versioning", "delete_versions", "private"),
    *("marker", "marker_lost"),
)


@dataclass(frozen=True)
class ProbeTarget:
    """What is tested, and for whom.

    ``origin`` is the portal's own (for CORS), ``probe_id`` names the folder of probe objects. ``marked``: the owner's
    marker was seen here before, and nobody has said since that it may be missing.
    """

    location: Location
    origin: str
    owner: Owner
    probe_id: UUID
    marked: bool = False


class ProbeContext:
    """One run. ``capabilities`` become the profile's."""

    def __init__(self, target: ProbeTarget) -> None:
        self.target = target
        self.location = target.location
        self.store = StoreClient(target.location)
        self.browser = Browser(target.location.egress)
        self.presigner = Presigner(target.location)
        self.capabilities: dict[str, Any] = dict.fromkeys(CAPABILITIES, False) | {"encryption": []}

    def key(self, name: str) -> str:
        """A probe object's key without the profile's prefix, as the presigner takes it."""
        return keys.probe(self.target.probe_id, name)

    def full_key(self, name: str) -> str:
        """The same as it stands in the bucket."""
        return self.location.full_key(self.key(name))

    @property
    def bucket_and_prefix(self) -> str:
        """The bucket and the prefix of this profile, as people write it: ``bucket/prefix/``."""
        return f"{self.location.bucket}/{self.location.full_key('')}"

    def put(self, name: str, content: bytes = CONTENT, **options: Any) -> Answer:
        """Store a probe object, encrypted as the profile says unless ``options`` say otherwise."""
        parameters = {"ContentType": TEXT, **(options or self.location.encryption_parameters)}
        return self.store.call("put_object", Key=self.full_key(name), Body=content, **parameters)

    def head(self, name: str) -> Answer:
        """The facts of a probe object."""
        return self.store.call("head_object", Key=self.full_key(name))

    def get(self, name: str) -> Answer:
        """Read a probe object; the content is in ``data["Body"]``."""
        return self.store.call("get_object", Key=self.full_key(name))

    def has(self, name: str, content: bytes) -> bool:
        """Whether exactly this content can be read there."""
        answer = self.get(name)
        return answer.ok and answer.data["Body"] == content

    @cached_property
    def is_public_for_writing(self) -> bool:
        """Whether something can be stored without any key; tried once."""
        url = f"{self.location.address(public=True)}/{self.full_key('anybody.txt')}"
        return self.browser.send("PUT", url, body=CONTENT, headers={"Content-Type": TEXT}).ok

    def close(self) -> None:
        """Close the connections."""
        self.store.close()
        self.browser.close()
