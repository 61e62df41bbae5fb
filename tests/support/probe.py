"""What the tests of the probe share: a subject, a run, and what was found at a step."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from portal.objectstore.bucket import Bucket
from portal.objectstore.location import Location
from portal.objectstore.ownership_marker import Owner
from portal.storage.probe.context import Subject
from portal.storage.probe.results import StepResult
from portal.storage.probe.runner import Probe
from tests.support.engines import LEAST_PLACE

ORIGIN = "http://localhost:5000"
PREFIX = LEAST_PLACE[1]  # the restricted key's place
INSTALLATION, TENANT, WORKSPACE = (UUID(int=number) for number in (1, 2, 3))


def subject(place: Location, *, prefix: str | None = None, **values: Any) -> Subject:
    """A place of this suite's own workspace."""
    given = {
        "location": replace(place, key_prefix=prefix if prefix is not None else f"{PREFIX}/probed"),
        "origin": ORIGIN,
        "owner": Owner(INSTALLATION, TENANT, WORKSPACE, UUID(int=4)),
        "probe_id": uuid4(),
        **values,
    }
    return Subject(**given)


def probe(asked: Subject, **options: Any) -> Probe:
    """A finished run."""
    run = Probe(asked, **options)
    for _result in run:
        pass
    return run


def found(run: Probe, name: str) -> StepResult:
    """What a step said; no provider's text is ever in it."""
    result = run.results[name]
    assert "Told to fail" not in result.detail + result.fix
    return result


def left_behind(place: Location, asked: Subject) -> list[str]:
    """Every full key that is there below the subject's prefix, but for the marker; asked with every right."""
    whole = Bucket(replace(place, key_prefix=asked.location.key_prefix))
    client = whole._client
    prefix = asked.location.full_key("")
    uploads: list[Any] = []
    with suppress(client.exceptions.ClientError):  # a store that has no uploads in parts
        uploads = client.list_multipart_uploads(Bucket=place.bucket, Prefix=prefix).get("Uploads", [])
    objects = [key for key, *_ in whole.list("") if key != ".stowage/owner.json"]
    return objects + [upload["Key"] for upload in uploads]


def forget(place: Location, asked: Subject) -> None:
    """Remove the marker, so that the next test finds the place free."""
    Bucket(replace(place, key_prefix=asked.location.key_prefix)).delete(".stowage/owner.json")
