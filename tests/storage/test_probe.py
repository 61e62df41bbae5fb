"""The contract of the probe, on every store: what it finds there, and that it leaves nothing behind."""

from __future__ import annotations

import json
import re
from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from portal.objectstore.bucket import Bucket
from portal.objectstore.location import Location
from portal.objectstore.ownership_marker import KEY, Owner
from portal.storage.probe.bucket_rules import (
    abort_rule,
    deletes_files,
    deletes_old_versions,
    ends_uploads,
    versions_rule,
)
from portal.storage.probe.results import Result
from portal.storage.probe.runner import STEPS, Probe
from tests.support.probe import INSTALLATION, PREFIX, TENANT, WORKSPACE, forget, found, left_behind, probe, subject
from tests.support.stores.fixtures import MORE, NO_FORMS, RESTRICTED, SEAWEEDFS

EXPECTED = {  # what differs from "pass" where we know the store
    SEAWEEDFS: {"lifecycle": "warn", "privileges": "warn"},
    NO_FORMS: {"post": "skipped", "lifecycle": "warn", "privileges": "warn"},
    RESTRICTED: {"post": "warn", "lifecycle": "skipped", "versioning": "skipped"},
}


@pytest.fixture(scope="session")
def finished(store: Location, seaweedfs: Location) -> Iterator[Probe]:
    """One run on each store."""
    target = subject(store)
    yield probe(target)
    forget(store, target)


def test_every_step_is_reported_in_order_with_a_text_and_its_time(finished: Probe) -> None:
    assert list(finished.results) == [step.name for step in STEPS]
    for result in finished.results.values():
        assert result.detail.english.endswith("."), result
        assert result.ms >= 0
        assert result.result is not Result.FAIL, result
        if result.result is Result.WARN:
            assert result.fix.english, result


def test_the_results_are_those_expected_of_the_store(finished: Probe, request: pytest.FixtureRequest) -> None:
    expected = EXPECTED.get(request.node.callspec.params["store"])
    if expected is None:
        pytest.skip("a store that we know nothing of")
    assert {name: str(each.result) for name, each in finished.results.items() if str(each.result) != "pass"} == expected


def test_a_working_store_is_healthy_and_its_capabilities_choose_the_method(
    finished: Probe, request: pytest.FixtureRequest
) -> None:
    verdict = finished.verdict()
    assert (verdict.healthy, verdict.reason) == (True, None)
    assert verdict.capabilities["put"] or verdict.capabilities["post"]
    new = request.node.callspec.params["store"] in MORE
    for name in ("copy", "marker") if new else ("copy", "range", "disposition", "private", "marker", "list"):
        assert verdict.capabilities[name] is True, name


def test_nothing_is_left_behind(store: Location, finished: Probe) -> None:
    assert finished.results["clean"].result is Result.PASS
    assert left_behind(store, subject(store)) == []


def test_the_marker_names_the_owner(store: Location, finished: Probe) -> None:
    with Bucket(replace(store, key_prefix=f"{PREFIX}/probed")).get(KEY) as stream:
        marker = json.loads(stream.read())
    assert UUID(marker["tenant_id"]) == TENANT
    assert UUID(marker["workspace_id"]) == WORKSPACE


def test_a_second_probe_finds_the_marker_of_its_own_workspace(store: Location, finished: Probe) -> None:
    again = probe(subject(store, marked=True))
    assert "this workspace's" in found(again, "owner").detail
    assert again.verdict().healthy


@pytest.mark.parametrize(
    ("owner", "words"),
    [
        (Owner(INSTALLATION, TENANT, uuid4(), uuid4()), "another workspace of your organisation"),
        (Owner(INSTALLATION, uuid4(), uuid4(), uuid4()), "another organisation"),
        (Owner(uuid4(), TENANT, WORKSPACE, uuid4()), "another installation"),
    ],
)
def test_a_prefix_marked_by_somebody_else_is_refused_and_nothing_is_written(
    store: Location, finished: Probe, owner: Owner, words: str
) -> None:
    strange = probe(subject(store, owner=owner))
    assert found(strange, "owner").result is Result.FAIL
    assert words in found(strange, "owner").detail
    assert str(TENANT) not in found(strange, "owner").detail
    assert found(strange, "write").result is Result.SKIPPED
    verdict = strange.verdict()
    assert not verdict.healthy
    assert str(verdict.reason) == found(strange, "owner").detail


def test_a_lost_marker_is_noticed_and_not_written_again(store: Location) -> None:
    target = subject(store, prefix=f"{PREFIX}/lost", marked=True)
    run = probe(target)
    assert found(run, "owner").result is Result.FAIL
    assert "created again" in found(run, "owner").detail
    assert run.verdict().capabilities == {"marker_lost": True}
    assert Bucket(target.location).head(KEY) is None


def test_two_workspaces_can_not_both_mark_one_prefix(store: Location) -> None:
    target = subject(store, prefix=f"{PREFIX}/race")
    first, second = iter(Probe(target)), None
    for result in first:
        if result.name == "owner":  # the prefix was free when the first checked
            second = probe(replace(target, probe_id=uuid4(), owner=Owner(INSTALLATION, uuid4(), uuid4(), uuid4())))
        if result.name == "marker":
            assert result.result is Result.FAIL
            assert "Another workspace has marked" in result.detail.english
    assert second is not None
    assert second.verdict().healthy
    forget(store, target)


def test_a_probe_that_is_stopped_half_way_leaves_no_objects(store: Location) -> None:
    target = subject(store, prefix=f"{PREFIX}/dropped")
    run = iter(Probe(target))
    while next(run).name != "multipart":
        pass
    assert isinstance(run, Generator)
    run.close()
    assert left_behind(store, target) == []


def test_leftovers_of_a_killed_probe_are_deleted_by_the_next(store: Location) -> None:
    target = subject(store, prefix=f"{PREFIX}/killed")
    bucket = Bucket(target.location)
    killed = uuid4()
    bucket.put(f".stowage/probe/{killed}/form.txt", b"left", content_type="text/plain")
    key = target.location.full_key(f".stowage/probe/{killed}/parts.bin")
    bucket._client.create_multipart_upload(Bucket=store.bucket, Key=key)
    probe(target)
    assert left_behind(store, target) == []
    forget(store, target)


def test_rules_of_other_people_are_never_removed() -> None:
    """Some stores read these as DeleteBucket; and a rule of somebody else's is not ours to remove."""
    source = "".join(path.read_text() for path in Path("portal").rglob("*.py"))
    assert not re.search(r"delete_?bucket", source, re.IGNORECASE)


def test_other_cors_rules_stay_when_ours_is_added(seaweedfs: Location) -> None:
    theirs = {"ID": "theirs", "AllowedOrigins": ["https://their.example"], "AllowedMethods": ["GET"]}
    location = replace(seaweedfs, bucket=f"cors-{uuid4().hex[:12]}")
    client = Bucket(location)._client
    client.create_bucket(Bucket=location.bucket)
    client.put_bucket_cors(Bucket=location.bucket, CORSConfiguration={"CORSRules": [theirs]})  # type: ignore[list-item]
    run = probe(subject(location))
    assert "was added" in found(run, "cors").detail
    rules = client.get_bucket_cors(Bucket=location.bucket)["CORSRules"]
    assert [rule["AllowedOrigins"] for rule in rules][1:] == [["https://their.example"]]
    again = probe(subject(location))
    assert "may upload" in found(again, "cors").detail
    assert len(client.get_bucket_cors(Bucket=location.bucket)["CORSRules"]) == 2


def test_where_cors_may_not_be_set_the_exact_rule_is_shown(restricted: Location, seaweedfs: Location) -> None:
    client = Bucket(seaweedfs)._client
    before = client.get_bucket_cors(Bucket=seaweedfs.bucket)["CORSRules"]
    run = probe(subject(restricted, prefix=f"{PREFIX}/cors", origin="https://files.example.com"))
    step = found(run, "cors")
    assert step.result is Result.WARN
    (rule,) = json.loads(step.paste)
    assert rule["AllowedOrigins"] == ["https://files.example.com"]
    assert "ETag" in rule["ExposeHeaders"]
    assert client.get_bucket_cors(Bucket=seaweedfs.bucket)["CORSRules"] == before
    assert run.verdict().healthy
    forget(seaweedfs, subject(restricted, prefix=f"{PREFIX}/cors"))


def test_encryption_counts_when_head_shows_it(seaweedfs: Location) -> None:
    target = subject(replace(seaweedfs, encryption="sse_s3"), prefix="encrypted")
    run = probe(target)
    assert found(run, "encryption").result is Result.PASS
    assert "HEAD shows" in found(run, "encryption").detail
    forget(seaweedfs, target)


def test_the_probe_leaves_no_versions(seaweedfs: Location) -> None:
    location = replace(seaweedfs, bucket=f"versions-{uuid4().hex[:12]}")
    client = Bucket(location)._client
    client.create_bucket(Bucket=location.bucket)
    client.put_bucket_versioning(Bucket=location.bucket, VersioningConfiguration={"Status": "Enabled"})
    target = subject(location)
    run = probe(target)
    assert run.verdict().capabilities["versioning"] is True
    step = found(run, "versioning")
    assert (step.result, "what is purged stays there" in step.detail) == (Result.WARN, True)
    (rule,) = json.loads(step.paste)["Rules"]
    assert deletes_old_versions(rule, target.location.full_key("")) and not deletes_files(
        rule, target.location.full_key("")
    )
    versions = client.list_object_versions(Bucket=location.bucket)
    left = [entry["Key"] for kind in ("Versions", "DeleteMarkers") for entry in versions.get(kind, [])]  # type: ignore
    assert left == [target.location.full_key(KEY)]


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_a_rule_that_deletes_old_versions_is_recognised(seaweedfs: Location, status: str) -> None:
    location = replace(seaweedfs, bucket=f"versions-{uuid4().hex[:12]}")
    client, target = Bucket(location)._client, subject(location)
    client.create_bucket(Bucket=location.bucket)
    for each in dict.fromkeys(("Enabled", status)):
        client.put_bucket_versioning(Bucket=location.bucket, VersioningConfiguration={"Status": each})  # type: ignore
    run = probe(target)
    step = found(run, "versioning")
    assert step.result is Result.WARN and ("has kept" in step.detail) is (status == "Suspended")
    assert run.verdict().healthy
    client.put_bucket_lifecycle_configuration(Bucket=location.bucket, LifecycleConfiguration=json.loads(step.paste))
    step = found(probe(target), "versioning")
    assert step.result is Result.PASS and "some time after a purge" in step.detail


def test_only_rules_that_delete_every_old_version_count() -> None:
    ours = versions_rule("team/")
    days = {"NoncurrentDays": 30}
    assert deletes_old_versions(ours, "team/") and not deletes_files(ours, "team/")
    assert deletes_old_versions({**ours, "Filter": {}}, "team/")
    assert deletes_old_versions({"Status": "Enabled", "Prefix": "te", "NoncurrentVersionExpiration": days}, "team/")
    assert not deletes_old_versions({**ours, "Status": "Disabled"}, "team/")
    assert not deletes_old_versions(ours, "")
    assert not deletes_old_versions({**ours, "Filter": {"Tag": {"Key": "a", "Value": "b"}}}, "team/")
    assert not deletes_old_versions(
        {**ours, "NoncurrentVersionExpiration": {**days, "NewerNoncurrentVersions": 3}}, "team/"
    )
    assert not deletes_old_versions(abort_rule("team/"), "team/")


def test_only_rules_that_delete_our_files_are_reported() -> None:
    days: dict[str, object] = {"Status": "Enabled", "Expiration": {"Days": 30}}
    assert deletes_files({**days, "Filter": {}}, "team/")
    assert deletes_files({**days, "Filter": {"Prefix": "team/files/"}}, "team/")
    assert deletes_files({**days, "Filter": {"And": {"Prefix": "te"}}}, "team/")
    assert not deletes_files({**days, "Filter": {"Prefix": "logs/"}}, "team/")
    assert not deletes_files({**days, "Status": "Disabled", "Filter": {}}, "team/")
    assert not deletes_files(
        {"Status": "Enabled", "Filter": {}, "Expiration": {"ExpiredObjectDeleteMarker": True}}, "team/"
    )
    assert ends_uploads(abort_rule("team/"), "team/")
    assert ends_uploads(abort_rule(""), "team/")
    assert not ends_uploads(abort_rule("team/files/"), "team/")
    assert not deletes_files(abort_rule(""), "team/")
