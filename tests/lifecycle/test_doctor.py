"""The doctor is silent about a healthy tenant and names each invariant that somebody broke behind the portal's back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from portal.lifecycle import objects
from portal.lifecycle.objects import Difference, Expected, Found, merge
from portal.objectstore import keys
from tests.support import pictures
from tests.support.api_client import Sent, done
from tests.support.client import Scene
from tests.support.engines import EICAR

NOW = datetime(2026, 11, 23, tzinfo=UTC)
OLD = NOW - timedelta(days=1)
A, B, C = (str(UUID(int=number)) for number in (1, 2, 3))


@pytest.fixture
def sent(scene: Scene) -> Sent:
    """A picture that was taken in long ago."""
    sent = scene.alice.upload("sea.jpg", pictures.exif_orientation(1))
    scene.site.run_jobs()
    scene.site.expire_upload(sent.upload_id)
    scene.site.sweep()
    scene.site.run_jobs()
    return sent


@pytest.fixture
def nothing_is_young(monkeypatch: pytest.MonkeyPatch) -> None:
    """Objects of this very moment count as old: a store does not let anybody date them back."""
    monkeypatch.setattr(objects, "YOUNG", timedelta(seconds=-60))


def only(scene: Scene, words: str, *more: str) -> None:
    """The doctor says this, and nothing else."""
    found = scene.site.broken(scene.cast)
    assert len(found) == 1 + len(more), found
    for line, expected in zip(found, (words, *more), strict=True):
        assert expected in line, found


@pytest.mark.usefixtures("nothing_is_young")
def test_a_healthy_tenant_has_no_findings(scene: Scene, sent: Sent, text: bytes) -> None:
    quarantined = scene.alice.upload("eicar.txt", EICAR)
    failed = scene.alice.upload("no.pdf", text)
    waste = scene.alice.upload("waste.txt", text)
    scene.site.run_jobs()
    assert scene.alice.call("DELETE", f"assets/{waste.asset_id}").status_code == 204
    scene.alice.sent("open.txt", text)
    done(scene.alice.begin("empty.txt", 10), 201)
    states = [scene.alice.asset(each.asset_id)["status"] for each in (sent, quarantined, failed, waste)]
    assert states == ["available", "quarantined", "failed", "deleted"]
    assert scene.site.broken(scene.cast) == []


def test_a_missing_original_is_found(scene: Scene, sent: Sent) -> None:
    key = next(key for key in scene.objects() if "/original/" in key)
    scene.site.root.delete_object(Bucket=scene.site.settings.s3_bucket, Key=key)
    only(scene, f"lie at {key}, and nothing is there")


def test_a_missing_preview_is_found(scene: Scene, sent: Sent) -> None:
    key = next(key for key in scene.objects() if "/derived/thumb/" in key)
    scene.site.root.delete_object(Bucket=scene.site.settings.s3_bucket, Key=key)
    only(scene, key)


def test_an_original_of_another_size_is_found(scene: Scene, sent: Sent) -> None:
    key = next(key for key in scene.objects() if "/original/" in key)
    scene.site.put(key, b"shorter")
    only(scene, f"{key} has 7 bytes")


def test_a_missing_quarantined_file_is_found(scene: Scene) -> None:
    sent = scene.alice.upload("eicar.txt", EICAR)
    scene.site.run_jobs()
    key = keys.quarantine(scene.cast.press.id, UUID(sent.asset_id), "eicar.txt")
    scene.site.root.delete_object(Bucket=scene.site.settings.s3_bucket, Key=key)
    only(scene, f"is quarantined, but there is no object at {key}")
    elsewhere = keys.original(scene.cast.press.id, UUID(sent.asset_id), "token", "eicar.txt")
    scene.site.sql("UPDATE assets SET object_key = %s WHERE id = %s", elsewhere, UUID(sent.asset_id))
    assert any("not below the quarantine prefix" in finding for finding in scene.site.broken(scene.cast))


@pytest.mark.usefixtures("nothing_is_young")
def test_objects_without_a_row_are_found(scene: Scene, sent: Sent) -> None:
    place = scene.cast.press.id
    strays = [
        keys.original(place, uuid4(), "token", "a.jpg"),
        keys.original(place, UUID(sent.asset_id), "token", "a.jpg"),
        f"workspaces/{place}/assets/no-id-of-ours/x",
    ]
    for key in strays:
        scene.site.put(key, b"stray")
    left = [keys.staging(place, UUID(sent.upload_id), "sea.jpg"), keys.staging(place, uuid4(), "sea.jpg")]
    for key in left:
        scene.site.put(key, b"left")
    found = scene.site.broken(scene.cast)
    assert {line.split()[2] for line in found if "belongs to no asset" in line} == set(strays)
    assert {line.split()[2] for line in found if "left behind" in line} == set(left)
    assert len(found) == 5


@pytest.mark.usefixtures("nothing_is_young")
def test_quarantined_objects_without_a_row_are_found(scene: Scene, sent: Sent) -> None:
    quarantined = scene.alice.upload("eicar.txt", EICAR)
    scene.site.run_jobs()
    scene.site.expire_upload(quarantined.upload_id)
    scene.site.sweep()
    scene.site.run_jobs()
    place = scene.cast.press.id
    strays = [
        keys.quarantine(place, uuid4(), "a.jpg"),
        keys.quarantine(place, UUID(sent.asset_id), "sea.jpg"),
        keys.quarantine(place, UUID(quarantined.asset_id), "other.txt"),
        f"workspaces/{place}/quarantine/no-id-of-ours/x",
    ]
    assert scene.site.broken(scene.cast) == []
    for key in strays:
        scene.site.put(key, b"stray")
    found = scene.site.broken(scene.cast)
    assert {line.split()[2] for line in found if "belongs to no asset" in line} == set(strays)
    assert len(found) == 4


def test_a_quarantined_file_of_another_size_is_found(scene: Scene) -> None:
    quarantined = scene.alice.upload("eicar.txt", EICAR)
    scene.site.run_jobs()
    key = keys.quarantine(scene.cast.press.id, UUID(quarantined.asset_id), "eicar.txt")
    scene.site.put(key, b"shorter")
    only(scene, f"{key} has 7 bytes")


def test_a_young_object_in_quarantine_is_not_reported(scene: Scene, sent: Sent) -> None:
    scene.site.put(keys.quarantine(scene.cast.press.id, UUID(sent.asset_id), "sea.jpg"), b"just now")
    assert scene.site.broken(scene.cast) == []


def test_young_objects_are_not_reported(scene: Scene, sent: Sent) -> None:
    scene.site.put(keys.original(scene.cast.press.id, UUID(sent.asset_id), "token", "a.jpg"), b"just now")
    assert scene.site.broken(scene.cast) == []


def test_objects_of_an_unknown_asset_are_found_at_once(scene: Scene, sent: Sent) -> None:
    stray = keys.original(scene.cast.press.id, uuid4(), "token", "a.jpg")
    scene.site.put(stray, b"just now")
    assert [line.split()[2] for line in scene.site.broken(scene.cast)] == [stray]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE workspace_quotas SET used_bytes = used_bytes + 1 WHERE workspace_id = %(workspace)s", "used_bytes"),
        ("UPDATE tenant_quotas SET reserved_bytes = reserved_bytes + 1 WHERE tenant_id = %(tenant)s", "reserved_bytes"),
        ("UPDATE assets SET charged_bytes = charged_bytes - 1 WHERE id = %(asset)s", "its assets"),
        ("UPDATE uploads SET reserved_bytes = 5 WHERE id = %(upload)s", "has a reservation of 5"),
        ("DELETE FROM quota_ledger WHERE subject_id = %(upload)s", "the ledger"),
        ("UPDATE uploads SET state = 'verifying' WHERE id = %(upload)s", "has no file that is"),
        (
            "UPDATE assets SET state = 'processing', created_at = now() - interval '25 hours' WHERE id = %(asset)s",
            "processing for more than a day",
        ),
    ],
)
def test_changed_counters_and_states_are_found(scene: Scene, sent: Sent, statement: str, words: str) -> None:
    ids = {"workspace": scene.cast.press.id, "tenant": scene.cast.acme.id}
    ids |= {"asset": UUID(sent.asset_id), "upload": UUID(sent.upload_id)}
    assert scene.site.broken(scene.cast) == []
    for name, value in ids.items():
        statement = statement.replace(f"%({name})s", f"'{value}'")
    scene.site.sql(statement)
    found = scene.site.broken(scene.cast)
    assert any(words in line for line in found), found


def test_a_reservation_that_was_not_released_is_found(scene: Scene) -> None:
    begun = done(scene.alice.begin("a.txt", 10), 201)
    past = "UPDATE uploads SET expires_at = now() - interval '%s minutes' WHERE id = '%s'"
    scene.site.sql(past % (59, begun["upload_id"]))
    assert scene.site.broken(scene.cast) == []
    scene.site.sql(past % (61, begun["upload_id"]))
    only(scene, "more than an hour after its expiry")
    scene.site.expire_upload(begun["upload_id"])  # its task is due, too
    scene.site.sweep()
    assert scene.site.broken(scene.cast) == []


Rows = list[Expected]
Listing = list[Found]


def differences(rows: Rows, listing: Listing) -> list[Difference]:
    return list(merge(iter(rows), iter(listing), NOW))


def found(asset_id: str, **sizes: int) -> Found:
    return Found(asset_id, {key: (size, OLD) for key, size in sizes.items()})


@pytest.mark.parametrize(
    ("rows", "listing", "expected"),
    [
        ([], [], []),
        ([Expected(A, {"a": 1})], [found(A, a=1)], []),
        ([Expected(A)], [], []),
        ([Expected(A, {"a": 1})], [], [Difference(A, "a", 1, None)]),
        ([Expected(A, {"a": 1})], [found(A, a=2)], [Difference(A, "a", 1, 2)]),
        ([], [found(A, a=1)], [Difference(A, "a", None, 1)]),
        ([Expected(A, {"a": 1}), Expected(C, {"c": 1})], [found(B, b=1)], "A missing, B stray, C missing"),
        ([Expected(B, {"b": 1})], [found(A, a=1), found(C, c=1)], "A stray, B missing, C stray"),
        ([Expected(A, {"a": 1})], [found(A, a=1, x=9)], [Difference(A, "x", None, 9)]),
        ([Expected(A, {"a": 1}, settled=False)], [found(A, a=1, x=9)], []),
        ([Expected(A)], [Found(A, {"young": (1, NOW)})], []),
        ([], [Found(A, {"young": (1, NOW)})], [Difference(A, "young", None, 1, young=True)]),
    ],
)
def test_two_streams_are_merged(rows: Rows, listing: Listing, expected: list[Difference] | str) -> None:
    found = differences(rows, listing)
    if isinstance(expected, str):
        names = {A: "A", B: "B", C: "C"}
        words = [f"{names[each.asset_id]} {'stray' if each.expected is None else 'missing'}" for each in found]
        assert ", ".join(words) == expected
    else:
        assert found == expected
