"""Nobody keeps a bucket, or a tenant's space, from others without having anything there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from flask import Flask

from portal.database import db, enter
from portal.operations import service as operations
from portal.quotas import service as quotas
from portal.settings import Settings
from portal.storage import probe_runs
from portal.storage import service as storage
from portal.storage.models import Health
from portal.uploads import expire
from tests.support.engines import CUSTOMER, SECOND_CUSTOMER
from tests.support.own_buckets import make_bucket, store_of
from tests.support.people import Actor, Cast

PHOTO = {"file_name": "a.jpg", "mime_type": "image/jpeg", "size_bytes": 1000}
LARGE = {"file_name": "a.mp4", "mime_type": "video/mp4", "size_bytes": 200 << 20, "resumable_protocol": "s3_multipart"}


def connect(cast: Cast, who: Actor, place: Any, bucket: str, **changes: str) -> Any:
    """Name a bucket, with keys that may be false."""
    settings: Settings = cast.app.extensions["portal.settings"]
    body = {
        "bucket": bucket,
        "endpoint": store_of(settings),
        "region": "us-east-1",
        "key_prefix": "team",
        "access_key_id": CUSTOMER.access_key_id,
        "secret_access_key": CUSTOMER.secret_access_key,
    }
    return who.api.post(cast.url("storage-profiles", place), json=body | changes)


def probed(cast: Cast, place: Any, made: Any) -> tuple[Health, str]:
    """What the test of the store found."""
    profile_id = UUID(made.get_json()["id"])
    with cast.app.app_context():
        probe_runs.run(place.tenant_id, place.id, profile_id)
        enter(place.tenant_id)
        profile = storage.find_profile(place.id, profile_id)
        db.session.refresh(profile)
        return profile.health, str(profile.reason or "")


@pytest.fixture
def bounds(app: Flask) -> Iterator[None]:
    """Three unfinished uploads a person, of 5,000 bytes together."""
    before: Settings = app.extensions["portal.settings"]
    app.extensions["portal.settings"] = replace(before, open_uploads=3, open_upload_bytes=5000)
    yield
    app.extensions["portal.settings"] = before


def test_false_keys_keep_nobody_from_their_bucket(cast: Cast) -> None:
    bucket = make_bucket(cast.app.extensions["portal.settings"])
    squatter = connect(cast, cast.mallory, cast.lair, bucket, secret_access_key="x" * 40)
    assert squatter.status_code == 201
    assert probed(cast, cast.lair, squatter)[0] is Health.UNHEALTHY
    owner = connect(cast, cast.alice, cast.press, bucket)
    assert owner.status_code == 201
    assert probed(cast, cast.press, owner) == (Health.HEALTHY, "")


@pytest.mark.parametrize("prefix", ["team", "", "team/below", "other"])
def test_false_keys_do_not_tell_that_a_bucket_is_in_use(cast: Cast, prefix: str) -> None:
    settings = cast.app.extensions["portal.settings"]
    used, unused = make_bucket(settings), make_bucket(settings)
    assert probed(cast, cast.press, connect(cast, cast.alice, cast.press, used))[0] is Health.HEALTHY
    false = {"secret_access_key": "x" * 40, "key_prefix": prefix}
    answers = [connect(cast, cast.mallory, cast.lair, bucket, **false) for bucket in (used, unused)]
    assert [each.status_code for each in answers] == [201, 201]
    one, other = (probed(cast, cast.lair, each) for each in answers)
    assert one == other and one[0] is Health.UNHEALTHY


@pytest.mark.parametrize("prefix", ["team", "", "team/below"])
def test_with_true_keys_a_place_is_still_connected_once(cast: Cast, prefix: str) -> None:
    settings = cast.app.extensions["portal.settings"]
    bucket = make_bucket(settings)
    first = connect(cast, cast.alice, cast.press, bucket)
    assert probed(cast, cast.press, first)[0] is Health.HEALTHY
    second = connect(cast, cast.mallory, cast.lair, bucket, key_prefix=prefix)
    health, reason = probed(cast, cast.lair, second)
    assert health is Health.UNHEALTHY and ("already connected" in reason or "another organisation" in reason)
    activated = cast.mallory.api.post(cast.url(f"storage-profiles/{second.get_json()['id']}/activate", cast.lair))
    assert activated.status_code == 409
    assert probed(cast, cast.press, first)[0] is Health.HEALTHY


def test_one_workspace_names_a_place_once(cast: Cast) -> None:
    bucket = make_bucket(cast.app.extensions["portal.settings"], SECOND_CUSTOMER)
    assert connect(cast, cast.alice, cast.press, bucket).status_code == 201
    assert connect(cast, cast.alice, cast.press, bucket, key_prefix="team/below").status_code == 409


@pytest.mark.usefixtures("bounds")
def test_one_person_has_so_many_unfinished_uploads(cast: Cast) -> None:
    begun = [cast.bob.api.post(cast.url("uploads"), json=PHOTO) for _ in range(4)]
    assert [each.status_code for each in begun] == [201, 201, 201, 429]
    problem = begun[3].get_json()
    assert (problem["code"], problem["open_uploads"]) == ("rate_limited", 3) and "Retry-After" in begun[3].headers
    assert "3 unfinished uploads" in problem["detail"]
    assert cast.alice.api.post(cast.url("uploads"), json=PHOTO).status_code == 201
    cast.bob.api.delete(cast.url(f"uploads/{begun[0].get_json()['upload_id']}"))
    assert cast.bob.api.post(cast.url("uploads"), json=PHOTO).status_code == 201


@pytest.mark.usefixtures("bounds")
def test_one_persons_unfinished_uploads_have_so_many_bytes(cast: Cast) -> None:
    first = cast.bob.api.post(cast.url("uploads"), json=PHOTO | {"size_bytes": 4000})
    second = cast.bob.api.post(cast.url("uploads"), json=PHOTO | {"size_bytes": 1001})
    assert (first.status_code, second.status_code, second.get_json()["code"]) == (201, 429, "rate_limited")
    assert cast.bob.api.post(cast.url("uploads"), json=PHOTO).status_code == 201


def reserved(cast: Cast) -> int:
    with cast.app.app_context():
        enter(cast.press.tenant_id)
        return quotas.workspace_status(cast.press.tenant_id, cast.press.id).reserved_bytes


def test_blocking_a_person_ends_their_uploads_at_once(cast: Cast) -> None:
    for who in (cast.bob, cast.bob, cast.alice):
        who.api.post(cast.url("uploads"), json=PHOTO)
    assert reserved(cast) == 3000
    address = f"/v1/tenants/{cast.acme.id}/people/{cast.bob.id}/block-uploads"
    assert cast.tina.api.post(address, json={"reason": "Too much of it."}).status_code == 204
    assert reserved(cast) == 1000


def test_an_operators_block_ends_them_too(cast: Cast) -> None:
    cast.bob.api.post(cast.url("uploads"), json=PHOTO)
    with cast.app.app_context():
        operations.block_person(cast.bob.email, "Stolen laptop", cast.tina.id)
    assert reserved(cast) == 0


def test_an_admin_ends_a_persons_uploads(cast: Cast) -> None:
    begun = [cast.bob.api.post(cast.url("uploads"), json=PHOTO).get_json()["upload_id"] for _ in range(2)]
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/people").text
    assert "Cancel 2 uploads" in page
    address = f"/t/{cast.acme.slug}/people/{cast.bob.id}/end-uploads"
    assert cast.alice.browser.post(address).status_code == 403
    assert cast.tina.browser.post(address).status_code == 303
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/people").text
    assert "2 uploads were cancelled" in page and "Cancel 2 uploads" not in page
    shown = cast.bob.api.get(cast.url(f"uploads/{begun[0]}")).get_json()
    assert (shown["state"], reserved(cast)) == ("aborted", 0)
    api = f"/v1/tenants/{cast.acme.id}/people/{cast.bob.id}/end-uploads"
    assert cast.tina.api.post(api).get_json() == {"ended": 0}
    assert cast.tina.api.post(api.replace(str(cast.bob.id), str(cast.mallory.id))).status_code == 404


def test_the_first_life_of_an_upload_in_parts_is_short() -> None:
    assert expire.LONGEST_FIRST_LIFE.days == 1
