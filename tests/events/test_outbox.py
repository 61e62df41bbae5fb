"""What happens is told once, in the transaction in which it happens, and to its own tenant alone."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from portal.database import transaction
from portal.events import service as events
from portal.events.models import EventType
from tests.support.client import Scene
from tests.support.engines import EICAR, SIGNATURE
from tests.support.people import Cast


def told(scene: Scene, **parameters: str) -> list[dict[str, Any]]:
    """What tina reads of acme's events, the oldest first."""
    answer = scene.cast.tina.api.get(f"/v1/tenants/{scene.cast.acme.id}/events", query_string=parameters)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.get_json()["items"]
    return items[::-1]


def test_a_file_is_told_of_from_its_upload_to_its_end(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("notes.txt", text)
    assert told(scene) == [], "nothing before the verdict"
    scene.site.run_jobs()
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}").status_code == 204
    assert scene.alice.call("POST", f"assets/{sent.asset_id}/restore").status_code in (200, 204)
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
    scene.site.run_jobs()
    found = told(scene)
    assert [each["type"] for each in found] == [
        "upload.committed",
        "asset.available",
        "asset.deleted",
        "asset.restored",
        "asset.deleted",
        "asset.purged",
    ]
    assert {each["tenant_id"] for each in found} == {str(scene.cast.acme.id)}
    assert {each["workspace_id"] for each in found} == {str(scene.cast.press.id)}
    assert {each["data"]["asset_id"] for each in found} == {sent.asset_id}
    assert found[0]["data"] | {"file_name": "notes.txt", "size_bytes": len(text)} == found[0]["data"]
    assert found[-1]["data"]["freed_bytes"] == len(text)
    assert len({each["id"] for each in found}) == 6


def test_what_is_held_or_refused_is_told(scene: Scene) -> None:
    scene.alice.upload("bad.txt", EICAR)
    scene.alice.upload("photo.jpg", b"plain text, no picture")
    scene.site.run_jobs()
    found = {each["type"]: each["data"] for each in told(scene)}
    assert set(found) == {"upload.committed", "asset.quarantined", "asset.failed"}
    assert found["asset.quarantined"]["scan_signature"].startswith(SIGNATURE)
    assert found["asset.failed"]["reason_code"] == "content_mismatch"


def test_a_change_that_is_taken_back_is_not_told(cast: Cast, in_app: Flask) -> None:
    with pytest.raises(RuntimeError), transaction(cast.acme.id):
        events.record(EventType.ASSET_DELETED, cast.acme.id, cast.press.id, asset_id="x")
        raise RuntimeError
    answer = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/events")
    assert answer.get_json() == {"items": [], "next_cursor": None}


def test_events_come_page_by_page_and_by_type(cast: Cast) -> None:
    with cast.app.app_context(), transaction(cast.acme.id):
        for number in range(5):
            events.record(EventType.QUOTA_WARNING, cast.acme.id, None, number=number)
        events.record(EventType.STORAGE_UNHEALTHY, cast.acme.id, cast.press.id)
    path, api = f"/v1/tenants/{cast.acme.id}/events", cast.tina.api
    numbers, cursor = [], None
    while True:
        page = api.get(
            path, query_string={"limit": 2, "type": "quota.warning", **({"cursor": cursor} if cursor else {})}
        )
        numbers += [each["data"]["number"] for each in page.get_json()["items"]]
        cursor = page.get_json()["next_cursor"]
        if cursor is None:
            break
    assert numbers == [4, 3, 2, 1, 0]
    assert api.get(path, query_string={"type": "no.such"}).status_code == 422


def test_events_are_for_admins_of_the_tenant(cast: Cast) -> None:
    path = f"/v1/tenants/{cast.acme.id}/events"
    assert cast.mallory.api.get(path).status_code == 404
    assert cast.alice.api.get(path).status_code == 403
    assert cast.nobody.get(path).status_code == 401


def test_events_of_long_ago_are_forgotten(scene: Scene) -> None:
    cast = scene.cast
    with scene.site.app.app_context():
        with transaction(cast.acme.id):
            events.record(EventType.QUOTA_WARNING, cast.acme.id, None, number=1)
            events.record(EventType.QUOTA_WARNING, cast.acme.id, None, number=2)
        scene.site.sql(
            "UPDATE events SET time = now() - interval '91 days' WHERE tenant_id = %s AND data->>'number' = '1'",
            cast.acme.id,
        )
        assert events.forget() == 1
    assert [each["data"]["number"] for each in told(scene)] == [2]
