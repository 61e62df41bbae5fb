"""Storage profiles: connecting a bucket, changing it, letting files go there, and letting go of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import update

from portal.app import create_app
from portal.assets.models import AssetState, PreviewState
from portal.database import db, enter, transaction
from portal.errors import Unavailable
from portal.settings import SettingsError
from portal.storage import profiles
from portal.storage import service as storage
from portal.storage.contents import contents_of
from portal.storage.models import StorageProfile
from portal.usage.models import Part, UsagePart
from tests.support.engines import CANARY, CUSTOMER, SECOND_CUSTOMER
from tests.support.factories import make_asset
from tests.support.own_buckets import connect_own_bucket, long_inactive, make_bucket, see_it_work
from tests.support.people import Cast, make_cast

PATH = "storage-profiles"


@pytest.fixture
def entered(app: Flask) -> dict[str, Any]:
    """What an owner enters for a new bucket on the test store."""
    settings = app.extensions["portal.settings"]
    return {
        "bucket": make_bucket(settings),
        "endpoint": settings.s3_endpoint,
        "region": "us-east-1",
        "key_prefix": "team/files",
        "access_key_id": CUSTOMER.access_key_id,
        "secret_access_key": CANARY,
    }


def connected(cast: Cast, entered: dict[str, Any]) -> dict[str, Any]:
    answer = cast.alice.api.post(cast.url(PATH), json=entered)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.get_json()
    return found


def test_the_mode_may_be_sent_and_is_always_byos_s3(cast: Cast, entered: dict[str, Any]) -> None:
    made = connected(cast, entered | {"mode": "byos_s3"})
    kept = cast.alice.api.patch(cast.url(f"{PATH}/{made['id']}"), json={"mode": "byos_s3", "name": "Ours"})
    assert (kept.status_code, kept.get_json()["mode"], kept.get_json()["name"]) == (200, "byos_s3", "Ours")
    refused = cast.alice.api.post(cast.url(PATH), json=entered | {"mode": "managed_r2"})
    assert (refused.status_code, refused.get_json()["field"]) == (422, "mode")


def test_an_owner_connects_a_bucket_and_the_secret_is_never_returned(cast: Cast, entered: dict[str, Any]) -> None:
    made = connected(cast, entered)
    assert (made["mode"], made["active"], made["health"]) == ("byos_s3", False, "probing")
    assert made["bucket"] == entered["bucket"] and made["key_prefix"] == "team/files"
    assert made["access_key_id"] == "CUST…6789"
    assert "secret_access_key" not in made and CANARY not in str(made)
    listed = cast.alice.api.get(cast.url(PATH)).get_json()["items"]
    assert [each["mode"] for each in listed] == ["managed_r2", "byos_s3"]
    assert listed[0]["active"] and listed[0]["bucket"] != made["bucket"] and listed[0]["health"] == "healthy"
    assert cast.alice.api.get(cast.url(f"{PATH}/{made['id']}")).get_json() == made


def test_the_number_of_profiles_of_a_workspace_is_limited(cast: Cast, entered: dict[str, Any]) -> None:
    for number in range(profiles.MAX_PROFILES - 1):
        connected(cast, {**entered, "key_prefix": f"p{number}"})
    answer = cast.alice.api.post(cast.url(PATH), json={**entered, "key_prefix": "one-more"})
    assert answer.status_code == 409
    assert f"at most {profiles.MAX_PROFILES}" in answer.get_json()["detail"]


def test_the_entered_key_opens_the_bucket(cast: Cast, entered: dict[str, Any]) -> None:
    made = connected(cast, {**entered, "secret_access_key": f" {CANARY} \n"})  # as copying adds them
    with cast.app.app_context():
        bucket = storage.bucket_for(row_of(cast, made["id"]))
        bucket.put("workspaces/x/probe.txt", b"here", content_type="text/plain")
        assert [key for key, _, _ in bucket.list("workspaces/x/")] == ["workspaces/x/probe.txt"]
        assert bucket.location.full_key("k") == "team/files/k"
        bucket.delete("workspaces/x/probe.txt")


def row_of(cast: Cast, profile_id: UUID | str) -> StorageProfile:
    """Inside the application."""
    enter(cast.press.tenant_id)
    profile = storage.find_profile(cast.press.id, UUID(str(profile_id)))
    db.session.refresh(profile)
    return profile


@pytest.mark.parametrize("who", ["bob", "vera"])
def test_only_owners_see_and_change_storage(cast: Cast, entered: dict[str, Any], who: str) -> None:
    client = getattr(cast, who).api
    for answer in (client.get(cast.url(PATH)), client.post(cast.url(PATH), json=entered)):
        assert answer.status_code == 403 and answer.get_json()["code"] == "forbidden"


def test_mallory_and_a_missing_id_get_the_same_404(cast: Cast) -> None:
    profile = connect_own_bucket(cast, activate=False)
    nobodys = "00000000-0000-7000-8000-000000000000"
    for method, tail in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/activate")):
        foreign = cast.mallory.api.open(cast.url(f"{PATH}/{profile.id}{tail}"), method=method, json={})
        elsewhere = cast.mallory.api.open(cast.url(f"{PATH}/{profile.id}{tail}", cast.lair), method=method, json={})
        missing = cast.mallory.api.open(cast.url(f"{PATH}/{nobodys}{tail}", cast.lair), method=method, json={})
        assert foreign.status_code == elsewhere.status_code == missing.status_code == 404
        assert elsewhere.data == missing.data


BAD = [
    ("endpoint", "ftp://s3.example.com", "begins with https"),
    ("endpoint", "https://me:secret@s3.example.com", "Leave user name and password out"),
    ("endpoint", "https://s3.example.com/bucket", "Leave the path out"),
    ("endpoint", "https://console.aws.amazon.com/s3/home?region=eu-west-1#buckets", "Leave the path out"),
    ("endpoint", "https://s3.example.com?x=1", "question mark"),
    ("endpoint", "https://s3.example.com#x", "Leave the #"),
    ("endpoint", "http://s3.example.com", "Plain http"),
    ("endpoint", "https://s3.example.com:22", "Port 22 is not allowed"),
    ("endpoint", "https://s3.example.com:0", "Port 0"),
    ("endpoint", "https://s3.example.com:99999", "This is not an address"),
    ("endpoint", "https://2852039166", "169.254.169.254 is not a public address"),
    ("endpoint", "https://0xA9FEA9FE", "169.254.169.254 is not a public address"),
    ("endpoint", "https://0251.0376.0251.0376", "169.254.169.254 is not a public address"),
    ("endpoint", "https://[::ffff:10.0.0.1]", "not a public address"),
    ("endpoint", "https://10.0.0.1:9000", "10.0.0.1 is not a public address"),
    ("endpoint", "https://minio:9000", "a name inside a network"),
    ("endpoint", "https://s3 .example.com", "plain letters"),
    ("endpoint", "https://bücher.example", "plain letters"),
    ("endpoint", "https://", "plain letters"),
    ("region", "Frankfurt (Germany)", "short name such as"),
    ("bucket", "s3://files", "name alone"),
    ("bucket", "files/2026", "name alone"),
    ("bucket", "x", "3 to 63"),
    ("bucket", "a..b", "3 to 63"),
    ("key_prefix", "/photos", "begins without a slash"),
    ("key_prefix", "photos/../secrets", "must not have . or .."),
    ("key_prefix", "photos//2026", "single slashes"),
    ("key_prefix", "photos/*", "made of letters"),
    ("key_prefix", "x" * 900, "at most 512"),
    ("kms_key_id", "alias/key", "needs encryption by KMS"),
    ("access_key_id", "", "Enter the access key ID"),
    ("access_key_id", "ASIA0123456789ABCDEF", "temporary key"),
    ("access_key_id", "AK/ID", "no slashes"),
    ("secret_access_key", "  ", "Enter the secret"),
    ("secret_access_key", f"{CANARY[:20]} {CANARY[20:]}", "inside"),
    ("secret_access_key", "AKIA0123456789ABCDEF", "access key ID"),
]


@pytest.mark.parametrize(("field", "value", "words"), BAD, ids=lambda value: str(value)[:40])
def test_each_impossible_value_is_refused_with_a_text_of_its_own(
    cast: Cast, entered: dict[str, Any], field: str, value: str, words: str
) -> None:
    answer = cast.alice.api.post(cast.url(PATH), json={**entered, field: value})
    problem = answer.get_json()
    assert answer.status_code == 422 and problem["code"] == "invalid", problem
    assert problem["field"] == field and words in problem["detail"]
    assert CANARY[:20] not in answer.text


@pytest.mark.parametrize(
    ("endpoint", "region", "seen"),
    [
        (None, "eu-central-1", (None, "eu-central-1")),
        ("s3.eu-central-1.amazonaws.com", None, (None, "eu-central-1")),
        ("https://s3.amazonaws.com", "eu-west-3", (None, "eu-west-3")),
        ("s3.us-west-004.backblazeb2.com", None, ("https://s3.us-west-004.backblazeb2.com", "us-west-004")),
        ("https://fra1.digitaloceanspaces.com", None, ("https://fra1.digitaloceanspaces.com", "fra1")),
        ("https://a1b2.r2.cloudflarestorage.com", None, ("https://a1b2.r2.cloudflarestorage.com", "auto")),
        ("HTTPS://S3.Example.COM.:443/", None, ("https://s3.example.com", "us-east-1")),
        ("https://134744072:8443", None, ("https://8.8.8.8:8443", "us-east-1")),
    ],
)
def test_equal_values_are_normalised(
    cast: Cast, entered: dict[str, Any], endpoint: str | None, region: str | None, seen: tuple[str | None, str]
) -> None:
    made = connected(cast, {**entered, "endpoint": endpoint, "region": region})
    assert (made["endpoint"], made["region"]) == seen
    assert made["encryption"] == ("sse_s3" if made["endpoint"] is None else "none")


def test_a_contradiction_between_endpoint_and_region_is_refused(cast: Cast, entered: dict[str, Any]) -> None:
    place = {"endpoint": "https://s3.eu-west-1.amazonaws.com", "region": "us-east-1"}
    answer = cast.alice.api.post(cast.url(PATH), json=entered | place)
    assert answer.status_code == 422 and answer.get_json()["field"] == "region"
    assert cast.alice.api.post(cast.url(PATH), json=entered | {"endpoint": None, "region": ""}).status_code == 422


def test_a_bucket_name_in_the_endpoint_is_refused(cast: Cast, entered: dict[str, Any]) -> None:
    place = {"endpoint": f"https://{entered['bucket']}.s3.example.com"}
    answer = cast.alice.api.post(cast.url(PATH), json=entered | place)
    assert answer.status_code == 422 and "s3.example.com" in answer.get_json()["detail"]


@pytest.mark.parametrize("prefix", ["team/files", "team", "", "team/files/below", "team/files/"])
def test_a_prefix_is_connected_once_in_a_workspace_and_others_learn_nothing_of_it(
    cast: Cast, entered: dict[str, Any], prefix: str
) -> None:
    connected(cast, entered)
    theirs = {**entered, "key_prefix": prefix}
    mine = cast.alice.api.post(cast.url(PATH), json=theirs)
    assert mine.status_code == 409 and "already connected" in mine.get_json()["detail"]
    others = cast.mallory.api.post(cast.url(PATH, cast.lair), json=theirs)
    assert others.status_code == 201  # whose it is decides the test of the store, see tests/attacks/test_squatting.py
    assert not {cast.acme.slug, "Acme", "Press"} & set(others.text.split())


def test_a_neighbouring_prefix_is_free(cast: Cast, entered: dict[str, Any]) -> None:
    connected(cast, entered)
    for prefix in ("team/files2", "team/other", "te"):
        connected(cast, {**entered, "key_prefix": prefix})


def test_the_operators_own_bucket_is_taken(cast: Cast, entered: dict[str, Any]) -> None:
    bucket = cast.app.extensions["portal.settings"].s3_bucket
    assert cast.alice.api.post(cast.url(PATH), json=entered | {"bucket": bucket}).status_code == 409


def test_a_profile_is_activated_only_after_a_passed_test(cast: Cast) -> None:
    profile = connect_own_bucket(cast, seen=False, activate=False)
    activate = cast.url(f"{PATH}/{profile.id}/activate")
    refused = cast.alice.api.post(activate)
    assert refused.status_code == 409 and "Test it" in refused.get_json()["detail"]
    see_it_work(cast, profile.id)
    for _ in range(2):  # safe to repeat
        assert cast.alice.api.post(activate).get_json()["active"] is True
    active = [each["id"] for each in cast.alice.api.get(cast.url(PATH)).get_json()["items"] if each["active"]]
    assert active == [str(profile.id)]


def test_editing_keeps_what_is_left_out(cast: Cast, entered: dict[str, Any]) -> None:
    made = connected(cast, entered)
    changed = cast.alice.api.patch(cast.url(f"{PATH}/{made['id']}"), json={"name": "Our bucket", "region": "eu-west-1"})
    assert changed.status_code == 200
    shown = changed.get_json()
    assert shown | {name: made[name] for name in ("name", "region", "probe")} == made
    assert (shown["name"], shown["region"]) == ("Our bucket", "eu-west-1")


def test_bucket_and_prefix_are_fixed_while_files_are_there(cast: Cast) -> None:
    profile = connect_own_bucket(cast)
    asset_id = make_asset(cast, profile_id=profile.id, charged_bytes=0)
    one = cast.url(f"{PATH}/{profile.id}")
    for change in ({"bucket": "another-bucket"}, {"key_prefix": "elsewhere"}, {"endpoint": "https://s3.example.com"}):
        refused = cast.alice.api.patch(one, json=change)
        assert refused.status_code == 409 and "move the files" in refused.get_json()["detail"], asset_id
    assert cast.alice.api.patch(one, json={"name": "Renamed"}).status_code == 200


def test_new_keys_replace_the_old_ones_and_need_their_secret(cast: Cast) -> None:
    profile = connect_own_bucket(cast)
    one = cast.url(f"{PATH}/{profile.id}")
    lone = cast.alice.api.patch(one, json={"access_key_id": SECOND_CUSTOMER.access_key_id})
    assert lone.status_code == 422 and lone.get_json()["field"] == "secret_access_key"
    both = {"access_key_id": SECOND_CUSTOMER.access_key_id, "secret_access_key": SECOND_CUSTOMER.secret_access_key}
    answer = cast.alice.api.patch(one, json=both).get_json()
    assert answer["access_key_id"] == "CUST…3210" and answer["active"] and answer["health"] == "probing"
    with cast.app.app_context():
        location = storage.bucket_for(row_of(cast, profile.id)).location
    assert location.access_key_id == SECOND_CUSTOMER.access_key_id
    assert location.secret_access_key == SECOND_CUSTOMER.secret_access_key


def test_a_profile_is_disconnected_only_when_it_is_empty(cast: Cast) -> None:
    profile = connect_own_bucket(cast)
    one = cast.url(f"{PATH}/{profile.id}")
    assert "Activate another" in cast.alice.api.delete(one).get_json()["detail"]
    managed = next(
        each["id"] for each in cast.alice.api.get(cast.url(PATH)).get_json()["items"] if each["mode"] == "managed_r2"
    )
    spec = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 5}
    upload = cast.bob.api.post(cast.url("uploads"), json=spec).get_json()
    assert upload["provider"] == "byos"
    assert cast.alice.api.post(cast.url(f"{PATH}/{managed}/activate")).status_code == 200
    assert "a moment ago" in cast.alice.api.delete(one).get_json()["detail"]
    long_inactive(cast, profile.id)
    still = cast.alice.api.delete(one)
    assert still.status_code == 409 and "can still arrive" in still.get_json()["detail"]


def test_a_disconnected_bucket_loses_its_secret_and_can_be_connected_again(cast: Cast, entered: dict[str, Any]) -> None:
    made = connected(cast, entered)
    one = cast.url(f"{PATH}/{made['id']}")
    assert cast.alice.api.delete(one).status_code == 204
    assert cast.alice.api.get(one).status_code == cast.alice.api.delete(one).status_code == 404
    assert cast.alice.api.post(f"{one}/activate").status_code == 404
    with cast.app.app_context():
        row = row_of(cast, made["id"])
        assert (row.sealed_secret, row.wrapped_key, row.vault_key_id) == (None, None, None)
    connected(cast, entered)


def test_the_managed_storage_can_not_be_changed_or_disconnected(cast: Cast) -> None:
    (managed,) = cast.alice.api.get(cast.url(PATH)).get_json()["items"]
    one = cast.url(f"{PATH}/{managed['id']}")
    assert (managed["bucket"], managed["endpoint"]) == (cast.app.extensions["portal.settings"].s3_bucket, None)
    assert cast.alice.api.patch(one, json={"name": "Mine"}).status_code == 409
    assert cast.alice.api.delete(one).status_code == 409


def test_a_secret_of_another_row_can_not_be_decrypted(cast: Cast) -> None:
    first, second = (connect_own_bucket(cast, activate=False) for _ in range(2))
    with cast.app.app_context():
        with transaction(cast.acme.id) as session:
            sealed = {name: getattr(first, name) for name in ("sealed_secret", "wrapped_key", "vault_key_id")}
            session.execute(update(StorageProfile).where(StorageProfile.id == second.id).values(**sealed))
        with pytest.raises(Unavailable, match="can't be decrypted"):
            storage.bucket_for(row_of(cast, second.id))
        storage.bucket_for(row_of(cast, first.id))


def test_the_contents_of_a_large_workspace_are_shown_as_last_measured(cast: Cast) -> None:
    profile = connect_own_bucket(cast)
    make_asset(cast, profile_id=profile.id, charged_bytes=0)
    with cast.app.app_context():
        enter(cast.press.tenant_id)
        assert contents_of(cast.press.id)[profile.id].files == 1
        with transaction(cast.press.tenant_id) as session:
            place = {"workspace_id": cast.press.id, "tenant_id": cast.acme.id, "profile_id": profile.id}
            for part, files, size in ((Part.ORIGINAL, 30_000, 3_000), (Part.TRASH, 5, 50), (Part.DERIVED, 9, 90)):
                values = {"part": part, "kind": "photo", "storage_class": "STANDARD", "files": files, "bytes": size}
                session.add(UsagePart(**place, **values))
        found = contents_of(cast.press.id)[profile.id]
        assert (found.files, found.original_bytes, found.derived_bytes) == (30_005, 3_050, 90)


def test_failed_and_processing_files_do_not_count_as_stored(cast: Cast) -> None:
    profile = connect_own_bucket(cast)
    ours: dict[str, Any] = {"profile_id": profile.id, "charged_bytes": 0, "size_bytes": 100}
    make_asset(cast, **ours)
    for state in (AssetState.FAILED, AssetState.PROCESSING):
        make_asset(cast, state=state, object_key=None, previews=PreviewState.NONE, **ours)
    with cast.app.app_context():
        enter(cast.press.tenant_id)
        found = contents_of(cast.press.id)[profile.id]
        assert (found.files, found.original_bytes) == (1, 100)


def test_of_many_concurrent_connections_of_one_prefix_one_succeeds_in_each_workspace(
    cast: Cast, entered: dict[str, Any]
) -> None:
    prefixes = ["team/files", "team", "", "team/files/below", "team/files", "team"]
    owners = [(cast.alice.api, cast.press), (cast.mallory.api, cast.lair)] * 3
    start = Barrier(len(prefixes))

    def connect(number: int) -> int:
        client, workspace = owners[number]
        start.wait()
        body = {**entered, "key_prefix": prefixes[number]}
        return client.post(cast.url(PATH, workspace), json=body).status_code

    with ThreadPoolExecutor(len(prefixes)) as pool:
        answers = sorted(pool.map(connect, range(len(prefixes))))
    assert answers == [201] * 2 + [409] * 4  # one in each workspace: the tests of the store tell whose it is


def test_after_two_concurrent_activations_one_profile_is_active(cast: Cast) -> None:
    made = [connect_own_bucket(cast, activate=False) for _ in range(2)]
    client, start = cast.alice.api, Barrier(2)

    def activate(profile: StorageProfile) -> int:
        start.wait()
        return client.post(cast.url(f"{PATH}/{profile.id}/activate")).status_code

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(activate, made)) == [200, 200]
    listed = client.get(cast.url(PATH)).get_json()["items"]
    assert [each["active"] for each in listed] == [True, False, False]


def test_an_invalid_egress_setting_is_refused(app: Flask) -> None:
    wrong = replace(app.extensions["portal.settings"], egress_allow=("10.0.0.0/8", "https://minio:9000"))
    with pytest.raises(SettingsError, match=r"PORTAL_EGRESS_ALLOW.*https://minio:9000"):
        create_app(wrong)


def test_a_workspace_that_is_full_still_sends_files_to_its_own_bucket(app: Flask) -> None:
    cast = make_cast(app, limit_bytes=3)
    spec = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 5}
    assert cast.bob.api.post(cast.url("uploads"), json=spec).status_code == 413
    connect_own_bucket(cast)
    assert cast.bob.api.post(cast.url("uploads"), json=spec).status_code == 201
