"""Testing a storage profile: started by people, run by a job, shown step by step, repeated after a killed worker."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from sqlalchemy import select, text, update

from portal import database
from portal.database import db, enter, transaction
from portal.errors import Unavailable
from portal.events.models import Event
from portal.lifecycle import sweep
from portal.storage import jobs, probe_runs
from portal.storage.models import Health, StorageProfile
from portal.storage.probe.runner import STEPS, Probe
from tests.support.engines import CUSTOMER
from tests.support.own_buckets import client_of, connect_own_bucket
from tests.support.people import Cast


@pytest.fixture
def profile(cast: Cast) -> StorageProfile:
    """A bucket of alice's, connected and not tested yet."""
    return connect_own_bucket(cast, seen=False, activate=False)


def url(cast: Cast, profile: StorageProfile, more: str = "") -> str:
    return cast.url(f"storage-profiles/{profile.id}{more}")


def run_probe(cast: Cast, profile: StorageProfile) -> None:
    """What the worker does with its job."""
    with cast.app.app_context():
        jobs.probe(str(profile.tenant_id), str(profile.workspace_id), str(profile.id))


def profile_json(cast: Cast, profile: StorageProfile) -> Any:
    answer = cast.alice.api.get(url(cast, profile))
    assert answer.status_code == 200
    return answer.json


def change(cast: Cast, profile: StorageProfile, **values: Any) -> None:
    with cast.app.app_context(), transaction(profile.tenant_id):
        db.session.execute(update(StorageProfile).where(StorageProfile.id == profile.id).values(values))


def ask(cast: Cast, profile: StorageProfile) -> None:
    """As it is done by itself: no person asks."""
    with cast.app.app_context(), transaction(profile.tenant_id):
        probe_runs.request(profile.workspace_id, profile.id)


def age(cast: Cast, profile: StorageProfile, interval: str) -> None:
    """Let so much time pass for its task."""
    with cast.app.app_context(), transaction():
        past = "due_at = due_at - CAST(:i AS interval), lease_until = lease_until - CAST(:i AS interval)"
        db.session.execute(text(f"UPDATE tasks SET {past} WHERE target_id = :p"), {"i": interval, "p": profile.id})


def run_sweep(cast: Cast) -> dict[str, int]:
    with cast.app.app_context():
        return dict(sweep.run())


def test_connecting_schedules_a_test_and_the_job_reports_every_step(cast: Cast, profile: StorageProfile) -> None:
    assert profile_json(cast, profile)["health"] == "probing"
    run_probe(cast, profile)
    shown = profile_json(cast, profile)
    assert (shown["health"], shown["reason"]) == ("healthy", None)
    assert [step["name"] for step in shown["probe"]["steps"]] == [step.name for step in STEPS]
    assert set(shown["probe"]) == {"at", "steps"}
    assert shown["capabilities"]["post"] is True
    assert shown["capabilities"]["marker"] is True
    listed = client_of(cast.app.extensions["portal.settings"], CUSTOMER).list_objects_v2(Bucket=profile.bucket)
    assert [entry["Key"] for entry in listed["Contents"]] == ["team/files/.stowage/owner.json"]


def test_starting_a_test_is_202_and_safe_to_repeat(cast: Cast, profile: StorageProfile) -> None:
    run_probe(cast, profile)
    first = cast.alice.api.post(url(cast, profile, "/probe"))
    again = cast.alice.api.post(url(cast, profile, "/probe"))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json is not None and again.json is not None
    assert first.json["health"] == again.json["health"] == "probing"
    assert first.json["probe"]["at"] == again.json["probe"]["at"]
    run_probe(cast, profile)
    run_probe(cast, profile)  # a second job finds nothing to do
    assert profile_json(cast, profile)["health"] == "healthy"


def test_tests_are_rate_limited(cast: Cast, profile: StorageProfile) -> None:
    with cast.app.app_context(), suppress(Unavailable):
        for _ in range(100):
            probe_runs.count_request(cast.press.id)
    refused = cast.alice.api.post(url(cast, profile, "/probe"))
    assert (refused.status_code, refused.get_json()["code"]) == (429, "rate_limited")
    assert cast.alice.api.patch(url(cast, profile, ""), json={"name": "Again"}).status_code == 429


def test_only_owners_test_and_see_the_policy_and_a_foreign_id_is_404(cast: Cast, profile: StorageProfile) -> None:
    for path, method in (("/probe", "POST"), ("/policy", "GET")):
        assert cast.vera.api.open(url(cast, profile, path), method=method).status_code == 403
        assert cast.bob.api.open(url(cast, profile, path), method=method).status_code == 403
        assert cast.mallory.api.open(url(cast, profile, path), method=method).status_code == 404
        foreign = cast.url(f"storage-profiles/{profile.id}{path}", cast.lair)
        assert cast.mallory.api.open(foreign, method=method).status_code == 404


def test_the_managed_storage_is_not_tested_by_owners(cast: Cast) -> None:
    items = cast.alice.api.get(cast.url("storage-profiles")).json["items"]  # type: ignore[index]
    managed = next(each for each in items if each["mode"] == "managed_r2")
    answer = cast.alice.api.post(cast.url(f"storage-profiles/{managed['id']}/probe"))
    assert answer.status_code == 409


def test_steps_are_seen_one_by_one_while_it_runs(
    cast: Cast, profile: StorageProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_steps = Probe.__iter__

    def look() -> str:
        page = cast.alice.browser.get(cast.page(f"storage/{profile.id}/test"), headers={"HX-Request": "true"})
        return page.text

    def watched(self: Probe) -> Any:
        for result in run_steps(self):
            yield result
            seen.append(elsewhere.submit(look).result())

    monkeypatch.setattr(Probe, "__iter__", watched)
    seen: list[str] = []
    with ThreadPoolExecutor(1) as elsewhere:  # as another process sees it
        run_probe(cast, profile)
    assert [page.count("probe-pass") for page in seen[:6]] == [1, 2, 3, 4, 5, 6]
    assert all("hx-get" in page and 'aria-busy="true"' in page for page in seen)
    page = look()
    assert "hx-get" not in page
    assert "Test again" in page
    assert "data-copy" in page  # the lifecycle rule to paste


def test_a_killed_probe_starts_again_when_its_lease_ends(
    cast: Cast, profile: StorageProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    run_steps = Probe.__iter__

    def dies(self: Probe) -> Any:
        for result in run_steps(self):
            yield result
            if result.name == "copy":
                raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Probe, "__iter__", dies)
        with pytest.raises(Killed):
            run_probe(cast, profile)
    assert profile_json(cast, profile)["health"] == "probing"
    run_probe(cast, profile)  # a job while the lease lasts does nothing
    assert profile_json(cast, profile)["health"] == "probing"
    age(cast, profile, "3 minutes")
    run_probe(cast, profile)
    assert profile_json(cast, profile)["health"] == "healthy"


def test_a_probe_that_never_finishes_ends_visibly(cast: Cast, profile: StorageProfile) -> None:
    with cast.app.app_context(), transaction():
        db.session.execute(text("UPDATE tasks SET attempts = 5 WHERE target_id = :p"), {"p": profile.id})
    run_probe(cast, profile)
    shown = profile_json(cast, profile)
    assert shown["health"] == "unhealthy"
    assert "could not be finished" in shown["reason"]


def test_a_healthy_storage_that_fails_records_an_event_and_keeps_its_capabilities(
    cast: Cast, profile: StorageProfile
) -> None:
    run_probe(cast, profile)
    before = profile_json(cast, profile)["capabilities"]
    client_of(cast.app.extensions["portal.settings"], CUSTOMER).delete_object(
        Bucket=profile.bucket, Key="team/files/.stowage/owner.json"
    )
    ask(cast, profile)
    run_probe(cast, profile)
    shown = profile_json(cast, profile)
    assert shown["health"] == "unhealthy"
    assert "marker that Stowage left" in shown["reason"]
    assert shown["capabilities"] == {**before, "marker_lost": True}
    with cast.app.app_context():
        enter(profile.tenant_id)
        events = db.session.scalars(select(Event).where(Event.type == "storage.unhealthy")).all()
        assert [event.data["profile_id"] for event in events] == [str(profile.id)]

    # By itself it stays so; a person who tests again says that it is all right.
    ask(cast, profile)
    run_probe(cast, profile)
    assert profile_json(cast, profile)["health"] == "unhealthy"
    cast.alice.api.post(url(cast, profile, "/probe"))
    run_probe(cast, profile)
    assert profile_json(cast, profile)["health"] == "healthy"


def test_the_bucket_of_another_tenant_is_reported_as_such(cast: Cast, profile: StorageProfile) -> None:
    run_probe(cast, profile)
    client = client_of(cast.app.extensions["portal.settings"], CUSTOMER)
    marker = client.get_object(Bucket=profile.bucket, Key="team/files/.stowage/owner.json")["Body"].read()
    theirs = connect_own_bucket(cast, seen=False, activate=False)
    strange = json.dumps({**json.loads(marker), "tenant_id": str(database.new_id())}).encode()
    client.put_object(Bucket=theirs.bucket, Key="team/files/.stowage/owner.json", Body=strange)
    run_probe(cast, theirs)
    shown = profile_json(cast, theirs)
    assert shown["health"] == "unhealthy"
    assert "belongs to another organisation" in shown["reason"]
    listed = client.list_objects_v2(Bucket=theirs.bucket)
    assert len(listed["Contents"]) == 1


def test_a_profile_is_tested_again_after_a_week(cast: Cast, profile: StorageProfile) -> None:
    run_probe(cast, profile)
    tested_at = profile_json(cast, profile)["probe"]["at"]
    run_probe(cast, profile)
    assert profile_json(cast, profile)["probe"]["at"] == tested_at, "not before its time"
    age(cast, profile, "8 days")
    run_probe(cast, profile)
    assert profile_json(cast, profile)["probe"]["at"] > tested_at
    assert profile_json(cast, profile)["health"] == "healthy"


def test_an_edit_during_a_test_discards_the_result_of_that_test(
    cast: Cast, profile: StorageProfile, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_steps = Probe.__iter__

    def edited(self: Probe) -> Any:
        for result in run_steps(self):
            yield result
            if result.name == "read":
                change(cast, profile, health=Health.UNKNOWN, probe=None)

    monkeypatch.setattr(Probe, "__iter__", edited)
    run_probe(cast, profile)
    assert profile_json(cast, profile)["health"] == "unknown"
    assert profile_json(cast, profile)["probe"] is None


def test_the_policy_names_bucket_and_prefix_for_every_provider(cast: Cast, profile: StorageProfile) -> None:
    answer = cast.alice.api.get(url(cast, profile, "/policy"))
    assert answer.status_code == 200 and answer.json is not None
    assert answer.json["policies"][0]["provider"] == "aws"
    aws = json.loads(answer.json["policies"][0]["text"])
    assert aws["Statement"][1]["Resource"] == f"arn:aws:s3:::{profile.bucket}/team/files/*"
    assert answer.json["rights"][0]["name"] == "minimum"
