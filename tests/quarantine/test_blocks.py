"""A blocked uploader can upload nothing, not even what was begun before, sees the reason, and can still read."""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from portal.audit import AuditEvent
from portal.database import db, enter, transaction
from portal.tenancy import blocks
from tests.support.api_client import done, refused
from tests.support.client import Scene
from tests.support.people import Actor, Cast, Client
from tests.support.quarantine import WHY, decide, quarantined

FILE = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 5}


def set_block(cast: Cast, client: Client, person: Actor, action: str = "block", reason: str = WHY) -> Any:
    return client.post(f"/v1/tenants/{cast.acme.id}/people/{person.id}/{action}-uploads", json={"reason": reason})


def test_a_blocked_person_can_begin_no_upload_and_sees_the_reason(cast: Cast) -> None:
    assert set_block(cast, cast.tina.api, cast.bob, reason="Three viruses in a day.").status_code == 204
    answer = cast.bob.api.post(cast.url("uploads"), json=FILE)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "forbidden")
    assert "Three viruses in a day." in answer.get_json()["detail"]
    assert cast.vera.api.get(cast.url("quota")).get_json()["reserved_bytes"] == 0
    assert cast.bob.api.get(cast.url("assets")).status_code == 200
    assert cast.alice.api.post(cast.url("uploads"), json=FILE).status_code == 201
    assert set_block(cast, cast.tina.api, cast.bob, "unblock").status_code == 204
    assert cast.bob.api.post(cast.url("uploads"), json=FILE).status_code == 201


def test_an_upload_that_was_begun_before_is_over_when_its_person_is_blocked(scene: Scene) -> None:
    cast = scene.cast
    begun = scene.bob.sent("a.txt", b"hello")
    assert set_block(cast, cast.tina.api, cast.bob).status_code == 204
    assert scene.bob.upload_state(begun["upload_id"])["state"] == "aborted"
    refused(scene.bob.commit(begun["upload_id"]), 409, "conflict")
    set_block(cast, cast.tina.api, cast.bob, "unblock")
    refused(scene.bob.commit(begun["upload_id"]), 409, "conflict")
    assert scene.bob.quota() == (0, 0)


def test_an_upload_that_begins_in_that_moment_can_not_be_committed_while_blocked(scene: Scene) -> None:
    cast = scene.cast
    begun = scene.bob.sent("a.txt", b"hello")
    with cast.app.app_context(), transaction(cast.acme.id):
        blocks.block(cast.acme.id, cast.bob.id, cast.tina.id, WHY)
    assert WHY in refused(scene.bob.commit(begun["upload_id"]), 403, "forbidden")["detail"]
    assert scene.bob.upload_state(begun["upload_id"])["state"] == "created"
    set_block(cast, cast.tina.api, cast.bob, "unblock")
    assert done(scene.bob.commit(begun["upload_id"]))["status"] == "processing"


def test_the_uploader_of_a_quarantined_file_can_be_blocked_on_its_page(cast: Cast) -> None:
    asset_id = quarantined(cast)
    page = f"/t/{cast.acme.slug}/quarantine"
    form = {"decision": "block", "id": [str(asset_id)], "reason": WHY}
    assert "Block Alice?" in cast.tina.browser.post(f"{page}/review", data=form).text
    assert "refused from now on" in cast.tina.browser.post(f"{page}/decide", data=form, follow_redirects=True).text
    assert "Uploads blocked" in cast.tina.browser.get(page).text
    assert cast.alice.api.post(cast.url("uploads"), json=FILE).status_code == 403
    again = cast.tina.browser.post(f"{page}/decide", data=form, follow_redirects=True).text
    assert "blocked already" in again


@pytest.mark.parametrize("reason", ["", "x" * 10_000])
def test_a_block_needs_a_reason(cast: Cast, reason: str) -> None:
    assert set_block(cast, cast.tina.api, cast.bob, reason=reason).status_code == 422


def test_only_admins_of_this_tenant_block_and_nobody_themselves(cast: Cast) -> None:
    for actor in (cast.alice, cast.bob, cast.vera):
        assert set_block(cast, actor.api, cast.vera).status_code == 403
    assert set_block(cast, cast.mallory.api, cast.vera).status_code == 404
    assert set_block(cast, cast.tina.api, cast.tina).status_code == 409
    assert set_block(cast, cast.tina.api, cast.mallory).status_code == 404
    theirs = f"/v1/tenants/{cast.evil.id}/people/{cast.bob.id}/block-uploads"
    missing = f"/v1/tenants/{cast.evil.id}/people/{uuid4()}/block-uploads"
    answers = [cast.mallory.api.post(url, json={"reason": WHY}) for url in (theirs, missing)]
    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].data == answers[1].data
    assert set_block(cast, cast.tina.api, cast.bob, "unblock").status_code == 409


def test_it_is_in_the_audit_log(cast: Cast) -> None:
    set_block(cast, cast.tina.api, cast.bob)
    with cast.app.app_context():
        enter(cast.acme.id)
        (event,) = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "uploads.blocked"))
    assert (event.actor_id, event.target_id, event.facts) == (cast.tina.id, cast.bob.id, {"reason": WHY})


def test_quarantined_files_of_a_blocked_person_can_still_be_decided_about(cast: Cast) -> None:
    asset_id: UUID = quarantined(cast)
    set_block(cast, cast.tina.api, cast.alice)
    assert decide(cast, cast.tina.api, asset_id, "rescan").status_code == 200
