"""What the tests of the probe share: a subject, a run, and what was found at a step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any, NamedTuple
from uuid import UUID, uuid4

from portal.objectstore.bucket import Bucket
from portal.objectstore.location import Location
from portal.objectstore.ownership_marker import Owner
from portal.storage.probe.context import ProbeTarget
from portal.storage.probe.results import Result
from portal.storage.probe.runner import Probe
from tests.support.engines import LEAST_PLACE

ORIGIN = "http://localhost:5000"
PREFIX = LEAST_PLACE[1]  # the restricted key's place
INSTALLATION, TENANT, WORKSPACE = (UUID(int=number) for number in (1, 2, 3))


def subject(place: Location, *, prefix: str | None = None, **values: Any) -> ProbeTarget:
    """A place of this suite's own workspace."""
    given = {
        "location": replace(place, key_prefix=prefix if prefix is not None else f"{PREFIX}/probed"),
        "origin": ORIGIN,
        "owner": Owner(INSTALLATION, TENANT, WORKSPACE, UUID(int=4)),
        "probe_id": uuid4(),
        **values,
    }
    return ProbeTarget(**given)


def probe(asked: ProbeTarget, **options: Any) -> Probe:
    """A finished run."""
    run = Probe(asked, **options)
    for _result in run:
        pass
    return run


class Found(NamedTuple):
    """What a step reported, in English."""

    result: Result
    detail: str
    fix: str
    paste: str


def found(run: Probe, name: str) -> Found:
    """What a step reported; no provider's text is ever in it."""
    step = run.results[name]
    texts = Found(step.result, step.detail.english, step.fix.english, step.paste)
    assert "Told to fail" not in texts.detail + texts.fix
    return texts


def left_behind(place: Location, asked: ProbeTarget) -> list[str]:
    """Every full key that is there below the subject's prefix, but for the marker; asked with every right."""
    whole = Bucket(replace(place, key_prefix=asked.location.key_prefix))
    client = whole._client
    prefix = asked.location.full_key("")
    uploads: list[Any] = []
    with suppress(client.exceptions.ClientError):  # a store that has no uploads in parts
        uploads = client.list_multipart_uploads(Bucket=place.bucket, Prefix=prefix).get("Uploads", [])
    objects = [key for key, *_ in whole.list("") if key != ".stowage/owner.json"]
    return objects + [upload["Key"] for upload in uploads]


def forget(place: Location, asked: ProbeTarget) -> None:
    """Remove the marker, so that the next test finds the place free."""
    Bucket(replace(place, key_prefix=asked.location.key_prefix)).delete(".stowage/owner.json")
