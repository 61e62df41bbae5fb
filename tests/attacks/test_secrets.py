"""A customer's secret is found nowhere: a bucket is connected, used, broken and mended, then every sink is searched."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from portal.objectstore.bucket import Bucket
from portal.storage import service as storage
from tests.support import pictures, secret_canary
from tests.support.api_client import done
from tests.support.client import Scene
from tests.support.deployment import Live, eventually
from tests.support.engines import CANARY, CUSTOMER, SECOND_CUSTOMER, TestEngines
from tests.support.own_buckets import client_of, connect_over_http, connect_own_bucket, store_of


def test_the_search_finds_what_is_there(engines: TestEngines, scene: Scene) -> None:
    connect_own_bucket(scene.cast, activate=False)
    found = secret_canary.search(engines, wanted=secret_canary.spellings(CUSTOMER.access_key_id))
    assert "table forms.storage_profiles" in found
    scene.site.app.extensions["portal.redis"].set("left", f"here: {CUSTOMER.access_key_id}")
    assert any(
        "valkey" in place
        for place in secret_canary.search(engines, wanted=secret_canary.spellings(CUSTOMER.access_key_id))
    )
    scene.site.app.extensions["portal.redis"].delete("left")


def test_what_is_logged_and_answered_here_is_heard() -> None:
    before = len(secret_canary.seen)
    logging.getLogger("tests").warning("the secret is %s", CANARY)
    assert secret_canary.seen[before:] and "tests" in secret_canary.seen.pop()


def test_a_secret_is_in_no_table_queue_log_traceback_page_or_answer(
    engines: TestEngines, scene: Scene, text: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)  # boto3 and urllib3 tell what they do, too
    answers = [scene.alice.call("POST", "storage-profiles", {"bucket": "x", "secret_access_key": CANARY})]
    profile = connect_own_bucket(scene.cast)
    one = f"storage-profiles/{profile.id}"
    sent = scene.bob.upload("note.txt", text)
    scene.site.run_jobs()
    answers += [
        scene.bob.download(sent.asset_id),
        scene.alice.call("GET", one),
        scene.alice.call("POST", f"{one}/probe"),
    ]
    scene.site.run_jobs()
    wrong = {"access_key_id": CUSTOMER.access_key_id, "secret_access_key": SECOND_CUSTOMER.secret_access_key}
    answers += [scene.alice.call("PATCH", one, wrong), scene.alice.call("PATCH", one, {**wrong, "bucket": "a b"})]
    scene.site.run_jobs()  # tested with a secret that is another key's
    answers.append(scene.bob.begin("more.txt", 10))
    with scene.site.app.app_context(), pytest.raises(ZeroDivisionError) as broken:
        bucket = storage.bucket_for(profile)
        _fail_with(bucket)
    logging.getLogger("tests").error("broken", exc_info=broken.value)
    assert not any(secret_canary.contains_secret(answer.content) for answer in answers)
    assert not secret_canary.contains_secret(repr(bucket.location).encode()) and not secret_canary.contains_secret(
        repr(profile).encode()
    )
    assert secret_canary.search(engines) == []


def _fail_with(bucket: Bucket) -> None:
    raise ZeroDivisionError(f"while working at {bucket.location}")


def test_and_in_no_log_of_web_workers_and_clock(
    engines: TestEngines, live: Live, tmp_path_factory: pytest.TempPathFactory
) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    settings = live.stack.settings
    made = connect_over_http(alice, settings)
    one = f"storage-profiles/{made['id']}"
    tested = eventually(lambda: (found := done(alice.call("GET", one)))["health"] != "probing" and found)
    assert tested["health"] == "healthy", tested
    done(alice.call("POST", f"{one}/activate"))
    content = pictures.photo()
    sent = alice.upload("palace.jpg", content)
    assert alice.wait(sent.asset_id)["status"] == "available"
    asset = alice.asset(sent.asset_id)
    assert sent.begun["provider"] == "byos" and len(asset["variants"]) == 5
    for variant in asset["variants"]:
        assert variant["url"].startswith(f"{store_of(settings)}/{made['bucket']}/team/files/")
        assert len(alice.store.get(variant["url"]).content) == variant["size_bytes"]
    assert alice.download(sent.asset_id).content == content and alice.quota() == (0, 0)
    listed = client_of(settings, CUSTOMER).list_objects_v2(Bucket=made["bucket"])["Contents"]
    assert {entry["Key"].split("/")[2] for entry in listed} <= {"workspaces", ".stowage"}
    assert live.broken(cast.acme.id) == []
    folder: Path = tmp_path_factory.getbasetemp()
    assert list(folder.rglob("*.log")) and secret_canary.search(engines, folder) == []
