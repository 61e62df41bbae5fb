"""A store that gives every write an ETag of its own, as AWS does with keys of a key service: a copy of a file, too."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from uuid import uuid4

import pytest

from portal.errors import Conflict
from portal.objectstore.bucket import Bucket
from portal.objectstore.location import Location
from tests.support import pictures
from tests.support.api_client import done
from tests.support.client import Scene, Site, served
from tests.support.engines import TestEngines
from tests.support.processes import own_settings
from tests.support.quarantine import decide, quarantined
from tests.support.stores.faulty import Faulty, NewEtags


def objects(method: str, path: str, _headers: Message) -> bool:
    """What concerns one object's content or facts."""
    return method in ("PUT", "GET", "HEAD") and "/workspaces/" in path


@pytest.fixture(scope="module")
def store(seaweedfs: Location) -> Iterator[Faulty]:
    """Such a store."""
    with Faulty(seaweedfs) as running, running.playing(NewEtags(), objects):
        yield running


@pytest.fixture(scope="module")
def site(engines: TestEngines, store: Faulty) -> Iterator[Site]:
    """A portal whose own store it is."""
    yield from served(own_settings(engines, "etags", queue=11, s3_endpoint=store.url, s3_public_endpoint=store.url))


def test_an_object_gets_another_type_and_a_promoted_one_its_proof(store: Faulty, seaweedfs: Location) -> None:
    bucket, below = Bucket(replace(seaweedfs, endpoint=store.url)), f"workspaces/{uuid4()}/"
    bucket.put(below + "staging", b"content", content_type="image/heif")
    source = bucket.head(below + "staging")
    assert source is not None
    copy = bucket.copy(below + "staging", below + "final", if_etag=source.etag)
    assert (copy.size, copy.etag) != (source.size, source.etag)
    bucket.set_content_type(below + "final", "image/heic")
    facts = bucket.head(below + "final")
    assert facts is not None and (facts.size, facts.content_type) == (7, "image/heic") and facts.etag != copy.etag
    with pytest.raises(Conflict):
        bucket.copy(below + "final", below + "other", if_etag=copy.etag)
    bucket.delete_prefix(below)


def test_a_file_of_another_type_than_its_name_says_is_taken_in_at_the_first_attempt(scene: Scene) -> None:
    sent = scene.bob.upload("rocket.heif", pictures.heic())
    scene.site.run_jobs()  # a second attempt would wait for its time
    asset = scene.bob.asset(sent.asset_id)
    assert (asset["status"], asset["mime_type"]) == ("available", "image/heic")
    assert scene.site.task(sent.asset_id, "take_in") is None
    answer = scene.vera.download(sent.asset_id)
    assert answer.content == pictures.heic()


def test_a_held_file_of_another_type_than_its_name_says_is_released(scene: Scene) -> None:
    cast = scene.cast
    asset_id = quarantined(cast, pictures.heic(), "rocket.heif", mime_type="image/heif", kind="photo")
    assert decide(cast, cast.tina.api, asset_id, "release").status_code == 200
    scene.site.run_jobs()
    asset = done(scene.vera.call("GET", f"assets/{asset_id}"))
    assert (asset["status"], asset["mime_type"]) == ("available", "image/heic")
