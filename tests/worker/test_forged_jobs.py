"""Whoever can write to Valkey can't make a worker run anything: it refuses, says so, and goes on with its work."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import redis
from rq import Callback, Queue
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.serializers import JSONSerializer, PickleSerializer
from rq.webhook import Webhook

from portal.queue import LANES, known_lanes
from portal.uploads import jobs
from portal.worker import RegisteredJob, is_registered
from tests.support.client import Scene
from tests.support.deployment import Live, eventually

OURS = "portal.uploads.jobs.take_in"
INTRUDE = "tests.worker.test_forged_jobs.intrude"
IDS = [str(uuid4()) for _ in range(3)]


@pytest.fixture
def valkey(live: Live) -> Iterator[redis.Redis]:
    """Valkey, as an intruder reaches it."""
    with redis.Redis.from_url(live.stack.settings.redis_url) as connection:
        yield connection


@pytest.fixture
def marker(tmp_path: Path) -> Path:
    """A file that exists once something of the intruder's was run."""
    return tmp_path / "owned"


called: list[object] = []


def intrude(*arguments: object) -> None:
    """What nobody should call."""
    called.append(arguments)


class Poison:
    """Runs a command when it is unpickled."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


def forged(valkey: redis.Redis, marker: Path) -> dict[str, Job]:
    """What an intruder would try."""
    touch = f"touch {marker}"

    def job(func: str, args: Any, **options: Any) -> Job:
        return Job.create(func, args, connection=valkey, **{"serializer": JSONSerializer, **options})

    callback = Callback(INTRUDE)
    strange = job(OURS, IDS)
    strange.data = b'["' + OURS.encode() + b'", {"a": 1}, 7, 9]'
    garbage = job(OURS, IDS)
    garbage.data = b"\x00\xff no json"
    return {
        "a command": job("os.system", [touch]),
        "a command with three words": job("subprocess.check_call", ["touch", str(marker), "x"]),
        "our module, another function": job("portal.uploads.jobs.staging", IDS),
        "a pickle": job("os.system", [Poison(touch)], serializer=PickleSerializer),
        "a pickle of ours": job(OURS, [Poison(touch), "b", "c"], serializer=PickleSerializer),
        "a callback after success": job(OURS, IDS, on_success=callback),
        "a callback after failure": job(OURS, IDS, on_failure=callback),
        "a callback after a stop": job(OURS, IDS, on_stopped=callback),
        "a webhook": job(OURS, IDS, webhooks=[Webhook("http://127.0.0.1:9/", job_status="finished")]),
        "two ids": job(OURS, IDS[:2]),
        "four ids": job(OURS, [*IDS, "4"]),
        "numbers": job(OURS, [1, 2, 3]),
        "options": job(OURS, IDS, kwargs={"force": True}),
        "a strange shape": strange,
        "garbage": garbage,
    }


NAMES = list(forged(redis.Redis(), Path("x")))


@pytest.mark.parametrize("name", NAMES)
def test_a_forged_job_is_refused(valkey: redis.Redis, name: str, marker: Path) -> None:
    job = forged(valkey, marker)[name]
    job.save()
    read = RegisteredJob.fetch(job.id, connection=valkey, serializer=JSONSerializer)
    assert not is_registered(read)
    assert (read.success_callback, read.failure_callback, read.stopped_callback) == (None, None, None)
    with pytest.raises(LookupError):
        _ = read.func


def test_a_registered_job_is_let_through() -> None:
    job = RegisteredJob.create(OURS, IDS, connection=redis.Redis(), serializer=JSONSerializer)
    assert is_registered(job)
    assert job.func.__name__ == "take_in"


def test_a_worker_refuses_them_all_and_goes_on(live: Live, valkey: redis.Redis, marker: Path) -> None:
    live.one_worker()
    pid = live.stack.workers[0].pid
    intake = Queue("intake", connection=valkey, serializer=JSONSerializer)
    jobs = forged(valkey, marker)
    for job in jobs.values():
        job.save()
        job.connection.rpush(intake.key, job.id)
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    sent = alice.upload("a.txt", b"what the worker is here for")
    assert alice.wait(sent.asset_id)["status"] == "available"
    eventually(lambda: intake.count == 0)
    assert live.stack.workers[0].running
    assert live.stack.workers[0].pid == pid
    assert not marker.exists()
    words = live.stack.workers[0].words()
    for name, job in jobs.items():
        assert f"not registered: {job.id}" in words, name


def test_ids_that_lead_nowhere_change_nothing(live: Live, valkey: redis.Redis) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    sent = alice.upload("a.txt", b"somebody's file")
    alice.wait(sent.asset_id)
    before = live.row(sent.asset_id, "state, object_key")
    queues = {"intake": OURS, "upkeep": "portal.assets.jobs.purge", "previews": "portal.assets.jobs.render_previews"}
    strangers = [IDS, ["a", "b", "c"], [str(cast.evil.id), str(cast.lair.id), sent.asset_id]]
    strangers.append([str(cast.acme.id), str(cast.lair.id), sent.asset_id])
    for name, path in queues.items():
        for ids in strangers:
            Queue(name, connection=valkey, serializer=JSONSerializer).enqueue(path, *ids)
    eventually(lambda: not any(Queue(name, connection=valkey, serializer=JSONSerializer).count for name in queues))
    alice.wait(alice.upload("b.txt", b"the next one").asset_id)
    assert live.row(sent.asset_id, "state, object_key") == before
    assert alice.download(sent.asset_id).content == sent.content


def test_a_right_id_in_a_wrong_place_costs_no_attempt(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    cast = scene.cast
    with scene.site.app.app_context():
        for tenant_id, workspace_id in [
            (cast.acme.id, cast.lair.id),
            (cast.evil.id, cast.press.id),
            (uuid4(), uuid4()),
        ]:
            jobs.take_in(str(tenant_id), str(workspace_id), sent.asset_id)
    assert scene.site.task(sent.asset_id, "take_in") == (0, None)
    scene.site.run_jobs()
    assert scene.alice.asset(sent.asset_id)["status"] == "available"


def test_clearing_up_after_a_dead_worker_calls_nobody(valkey: redis.Redis) -> None:
    """RQ itself would call the failure callback of a job that stands in its list of started ones."""
    job = Job.create(OURS, IDS, connection=valkey, serializer=JSONSerializer, on_failure=Callback(INTRUDE))
    job.set_status(JobStatus.STARTED)
    job.save()
    registry = StartedJobRegistry("elsewhere", connection=valkey, job_class=RegisteredJob, serializer=JSONSerializer)
    valkey.zadd(registry.key, {f"{job.id}:1": time.time() - 60})
    registry.cleanup()
    assert called == []
    assert registry.get_job_ids(cleanup=False) == []


def test_what_can_not_be_read_ends_no_worker(live: Live, valkey: redis.Redis) -> None:
    live.one_worker()
    pid = live.stack.workers[0].pid
    intake = Queue("intake", connection=valkey, serializer=JSONSerializer)
    strange = {"timeout": "soon", "created_at": "never", "data": b"\xff", "origin": "x"}
    valkey.hset("rq:job:strange-times", mapping=strange)  # type: ignore[arg-type]
    valkey.set("rq:job:no-hash", "a string")
    for job_id in (b"\xff\xfe", b"strange-times", b"no-hash", b"nothing", b""):
        valkey.rpush(intake.key, job_id)
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    assert alice.wait(alice.upload("a.txt", b"the next one").asset_id)["status"] == "available"
    assert live.stack.workers[0].running
    assert live.stack.workers[0].pid == pid


def test_a_job_of_a_release_that_named_it_differently_is_dropped_and_its_row_is_done(
    live: Live, valkey: redis.Redis
) -> None:
    live.one_worker()
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    intake = Queue("intake", connection=valkey, serializer=JSONSerializer)
    old = Job.create("portal.assets.intake_jobs.take_in", IDS, connection=valkey, serializer=JSONSerializer)
    old.save()
    valkey.rpush(intake.key, old.id)
    assert alice.wait(alice.upload("a.txt", b"the next one").asset_id)["status"] == "available"
    assert f"not registered: {old.id}" in live.stack.workers[0].words()


@pytest.mark.parametrize(
    ("names", "lanes"),
    [([], LANES), (["slow"], ("slow",)), (["upkeep", "messages", "upkeep"], ("messages", "upkeep"))],
)
def test_a_worker_is_given_its_queues(names: list[str], lanes: tuple[str, ...]) -> None:
    assert known_lanes(names) == lanes


def test_a_queue_that_is_none_is_named() -> None:
    with pytest.raises(ValueError, match="no queue 'idle'"):
        known_lanes(["intake", "idle"])
