"""What is handed to the workers next: nothing twice, everybody in turn, long jobs never to all workers."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
import redis
from sqlalchemy import text

from portal import queue, tasks
from portal.database import db, transaction
from portal.queue import JobTimeout
from portal.tasks import dispatcher
from tests.support.client import Site, served
from tests.support.engines import TestEngines
from tests.support.processes import own_settings


@pytest.fixture(scope="module")
def site(engines: TestEngines) -> Iterator[Site]:
    """A portal of its own: the scheduler sees every tenant."""
    yield from served(own_settings(engines, "turns", queue=10))


@pytest.fixture(autouse=True)
def inside(site: Site) -> Iterator[None]:
    """Inside the application, nothing to be done, and nothing waits."""
    site.sql("DELETE FROM tasks")
    site.app.extensions["portal.redis"].flushdb()
    with site.app.app_context():
        yield


@pytest.fixture
def valkey(site: Site) -> redis.Redis:
    connection: redis.Redis = site.app.extensions["portal.redis"]
    return connection


def make(tenant_id: UUID, kind: str, count: int = 1, ago: str = "0 seconds") -> None:
    """So many tasks of a tenant, due since then, without a word to the queue."""
    lane = queue.JOBS[kind].lane
    with transaction():
        db.session.execute(
            text(
                "INSERT INTO tasks (id, created_at, kind, target_id, tenant_id, workspace_id, lane, due_at, attempts) "
                "SELECT gen_random_uuid(), now(), :kind, gen_random_uuid(), :tenant, gen_random_uuid(), :lane,"
                " now() - CAST(:ago AS interval) + n * interval '1 microsecond', 0 FROM generate_series(1, :count) n"
            ),
            {"kind": kind, "tenant": tenant_id, "lane": lane, "ago": ago, "count": count},
        )


def waiting(valkey: redis.Redis, lane: str) -> list[tuple[str, UUID]]:
    """Kind and tenant of what waits, in its order."""
    jobs = queue._queue(lane, valkey).jobs
    return [(str(job.description), UUID(job.args[0])) for job in jobs]


def test_of_a_tenant_two_jobs_a_worker_wait_and_more_as_they_are_taken(valkey: redis.Redis) -> None:
    make(uuid4(), "take_in", 100)
    assert len(tasks.enqueue_due()) == 2  # there is no worker: it is counted as one
    assert tasks.enqueue_due() == []
    job = queue._queue("intake", valkey).jobs[0]
    queue._queue("intake", valkey).pop_job_id()
    assert tasks.enqueue_due() == [], "it was taken just now: it is not enqueued beside itself"
    with tasks.acquire("take_in", *map(UUID, job.args)) as lease:
        assert lease is not None
        assert len(tasks.enqueue_due()) == 1


def test_a_job_whose_worker_was_killed_before_it_had_the_lease_is_enqueued_again(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(uuid4(), "take_in")
    assert len(tasks.enqueue_due()) == 1
    queue._queue("intake", valkey).pop_job_id()
    assert tasks.enqueue_due() == []
    monkeypatch.setattr(queue, "TAKEN_SECONDS", 0.0)
    assert tasks.enqueue_due() == []
    assert len(tasks.enqueue_due()) == 1


def test_a_flush_heals_at_the_next_look(valkey: redis.Redis) -> None:
    make(uuid4(), "take_in", 2)
    first = {entry.id for entry in tasks.enqueue_due()}
    valkey.flushdb()
    assert {entry.id for entry in tasks.enqueue_due()} == first


def test_who_has_nothing_under_way_waits_for_nobody_elses_backlog(valkey: redis.Redis) -> None:
    large, small = uuid4(), uuid4()
    make(large, "take_in", 1000, ago="1 hour")
    tasks.enqueue_due()
    make(small, "take_in")
    tasks.enqueue_due()
    assert [tenant for _, tenant in waiting(valkey, "intake")] == [small, large, large]


def test_tenants_take_turns(valkey: redis.Redis) -> None:
    one, two = uuid4(), uuid4()
    make(one, "take_in", 50, ago="1 hour")
    make(two, "take_in", 50)
    served: list[UUID] = []
    for _ in range(12):
        tasks.enqueue_due()
        served.append(waiting(valkey, "intake")[0][1])
        queue._queue("intake", valkey).jobs[0].delete()
        db.session.execute(
            text(
                "DELETE FROM tasks WHERE id = (SELECT id FROM tasks WHERE tenant_id = :tenant ORDER BY due_at LIMIT 1)"
            ),
            {"tenant": served[-1]},
        )
        db.session.commit()
    assert 4 <= served.count(one) <= 8


def test_a_thousand_purges_keep_no_other_kind_waiting(valkey: redis.Redis) -> None:
    tenant = uuid4()
    make(tenant, "purge", 1000, ago="1 hour")
    make(tenant, "release_quarantined")
    tasks.enqueue_due()
    assert {kind for kind, _ in waiting(valkey, "upkeep")} == {"purge", "release_quarantined"}


def test_within_a_kind_the_one_that_is_due_first_comes_first(valkey: redis.Redis) -> None:
    tenant = uuid4()
    make(tenant, "take_in", ago="1 minute")
    first = db.session.scalar(text("SELECT target_id FROM tasks"))
    db.session.commit()
    make(tenant, "take_in", 5)
    assert tasks.enqueue_due()[0].target_id == first


def test_long_jobs_are_never_given_to_all_workers(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = uuid4()
    make(tenant, "scan_again", 10)
    monkeypatch.setattr(queue, "capacity", lambda _: queue.Capacity(4, 3))
    assert len(tasks.enqueue_due()) == 3
    assert tasks.enqueue_due() == []
    make(uuid4(), "move")
    assert tasks.enqueue_due() == [], "what is under way counts"


@pytest.mark.parametrize(
    ("lanes", "slow"),
    [([], 1), ([queue.LANES], 1), ([queue.LANES] * 2, 1), ([queue.LANES] * 4, 3), ([("slow",), ("intake",)], 1)],
)
def test_how_many_long_jobs_there_may_be(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch, lanes: list[tuple[str, ...]], slow: int
) -> None:
    class Seen:
        def __init__(self, names: tuple[str, ...]) -> None:
            self.names = list(names)

        def queue_names(self) -> list[str]:
            return self.names

    monkeypatch.setattr("portal.queue.Worker.all", lambda **_: [Seen(each) for each in lanes])
    assert queue.capacity(valkey) == queue.Capacity(max(1, len(lanes)), slow)


def test_a_tenant_that_had_long_jobs_lately_gets_all_workers_but_one(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, other = uuid4(), uuid4()
    monkeypatch.setattr(queue, "capacity", lambda _: queue.Capacity(3, 2))
    queue.record_long_job(valkey, tenant)
    for kind in ("take_in", "scan_again", "purge"):
        make(tenant, kind, 10, ago="1 hour")
    assert len(tasks.enqueue_due()) == 2
    assert tasks.enqueue_due() == [], "in all lanes together"
    make(tenant, "send_email")
    make(other, "take_in", 10)
    assert next((entry.kind, entry.tenant_id) for entry in tasks.enqueue_due()) == ("send_email", tenant)
    theirs = [each for _, each in waiting(valkey, "intake")].count(other)
    assert theirs == 2 * 3, "nobody else has that limit"


def test_what_a_tenant_has_waiting_is_withdrawn_when_a_job_of_it_took_too_long(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant, other = uuid4(), uuid4()
    monkeypatch.setattr(queue, "capacity", lambda _: queue.Capacity(3, 2))
    make(tenant, "take_in", 10)
    make(other, "take_in", 10)
    tasks.enqueue_due()
    assert [each for _, each in waiting(valkey, "intake")].count(tenant) == 6
    dispatcher.restrain(tenant)
    assert {each for _, each in waiting(valkey, "intake")} == {other}
    tasks.enqueue_due()
    assert [each for _, each in waiting(valkey, "intake")].count(tenant) == 2


def test_the_slow_jobs_of_a_tenant_and_its_others_take_turns(
    valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    tenant = uuid4()
    monkeypatch.setattr(queue, "capacity", lambda _: queue.Capacity(2, 1))
    queue.record_long_job(valkey, tenant)
    make(tenant, "take_in", 10)
    make(tenant, "scan_again", 10)
    lanes = []
    for _ in range(6):
        (entry,) = tasks.enqueue_due()
        lanes.append(entry.lane)
        valkey.delete(queue._queue(entry.lane, valkey).key)
        db.session.execute(text("DELETE FROM tasks WHERE target_id = :target"), {"target": entry.target_id})
        db.session.commit()
    assert lanes.count("slow") == lanes.count("intake") == 3


def test_the_limit_of_a_tenant_that_had_long_jobs_ends(valkey: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> None:
    tenant = uuid4()
    queue.record_long_job(valkey, tenant)
    make(tenant, "take_in", 10)
    assert len(tasks.enqueue_due()) == 1
    monkeypatch.setattr(queue, "LONG_JOBS_SECONDS", -1)
    assert len(tasks.enqueue_due()) == 1, "two a worker, as everybody"


def test_what_takes_too_long_goes_on_in_the_slow_lane(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "NORMAL_SECONDS", 1)
    tenant, target = uuid4(), uuid4()
    with transaction():
        tasks.schedule("take_in", target, tenant_id=tenant)

    def too_long() -> None:
        with tasks.acquire("take_in", tenant, tasks.NOWHERE, target) as lease:
            assert lease is not None
            raise JobTimeout

    too_long()
    assert site.task(target, "take_in", "lane, attempts, lease_token") == ("slow", 0, None)
    assert queue.waiting(site.app.extensions["portal.redis"]).long == {tenant.hex}


def test_two_kinds_of_work_never_meet_at_one_target(site: Site) -> None:
    tenant, target = uuid4(), uuid4()
    with transaction():
        tasks.schedule("render_previews", target, tenant_id=tenant)
        tasks.schedule("purge", target, tenant_id=tenant)
    with tasks.acquire("render_previews", tenant, tasks.NOWHERE, target) as first:
        assert first is not None
        with tasks.acquire("purge", tenant, tasks.NOWHERE, target) as second:
            assert second is None
        assert site.task(target, "purge", "attempts, due_at > now()") == (0, True)
        with tasks.exclusive("move_asset", target) as third:
            assert third is None


def test_scheduling_anew_takes_the_lease_away(site: Site) -> None:
    tenant, target = uuid4(), uuid4()
    with transaction():
        tasks.schedule("probe", target, tenant_id=tenant)
    with tasks.acquire("probe", tenant, tasks.NOWHERE, target) as lease:
        assert lease is not None
        with transaction():
            tasks.schedule("probe", target, tenant_id=tenant)
        with pytest.raises(tasks.LeaseLost), transaction():
            tasks.complete(lease)
    assert site.task(target, "probe", "attempts, lease_token") == (0, None)


def test_what_is_due_is_found_by_the_index_whatever_the_backlog(site: Site) -> None:
    def look() -> float:
        began = time.perf_counter()
        with transaction():
            assert len(dispatcher.due(queue.LANES, 4)) == 80
        return time.perf_counter() - began

    tenants = [uuid4() for _ in range(20)]
    for tenant in tenants:
        make(tenant, "take_in", 10)
    site.sql("ANALYZE tasks")
    few = min(look() for _ in range(5))
    for tenant in tenants:
        make(tenant, "take_in", 2000)
    site.sql("ANALYZE tasks")
    many = min(look() for _ in range(5))
    assert many < 4 * few + 0.02, f"{few * 1000:.1f} ms with 200 tasks, {many * 1000:.1f} ms with 40,200"
