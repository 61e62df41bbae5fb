"""Flush the queue, kill every worker, and each upload still finishes by itself."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import redis

from tests.support import pictures
from tests.support.api_client import done
from tests.support.deployment import Live, eventually
from tests.support.stores.unruly import reads

UPLOADS = 50
DEADLINE = 180.0  # seconds: the promise


def test_fifty_uploads_survive_a_wiped_queue_and_the_death_of_every_worker(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    kinds = [("jpg", pictures.exif_orientation(6)), ("png", pictures.png_alpha()), ("txt", b"words " * 5000)]
    files = [(f"{number:02}.{kinds[number % 3][0]}", kinds[number % 3][1]) for number in range(UPLOADS)]
    with ThreadPoolExecutor(8) as pool:
        begun = list(pool.map(lambda file: alice.sent(*file), files))
        committed = list(pool.map(lambda each: done(alice.commit(each["upload_id"])), begun[:10]))
        eventually(lambda: sum(alice.asset(each["asset_id"])["status"] == "available" for each in committed) >= 3)
        with live.store.hold(reads) as held:  # a worker is in the middle of one, and will not get to its end
            committed += pool.map(lambda each: done(alice.commit(each["upload_id"])), begun[10:40])
            held.wait()
            redis.Redis.from_url(live.stack.settings.redis_url).flushall()
            for worker in live.stack.workers:
                worker.kill()
    began = time.monotonic()
    for worker in live.stack.workers:  # as the supervisor does
        worker.start()
    committed += [done(alice.commit(each["upload_id"])) for each in begun[40:]]

    assets = [alice.wait(each["asset_id"], seconds=DEADLINE - (time.monotonic() - began)) for each in committed]
    assert time.monotonic() - began < DEADLINE
    assert len({asset["asset_id"] for asset in assets}) == UPLOADS
    assert {asset["status"] for asset in assets} == {"available"}, [asset["reason"] for asset in assets]
    assert {asset["previews"] for asset in assets} == {"ready", "none"}
    assert alice.quota() == (sum(len(content) for _, content in files), 0)
    for asset, (_, content) in zip(assets, files, strict=True):
        assert alice.download(asset["asset_id"]).content == content
    live.forms_run_out()
    assert live.objects(cast) == live.expected_objects(cast)
    assert live.broken(cast.acme.id) == []
