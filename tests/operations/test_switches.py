"""The operator's switches: what they refuse, the reason that members see, and the record."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from portal.audit import AuditEvent, OperatorAct
from portal.database import db, enter
from portal.storage import disk
from portal.storage.disk import Disk
from tests.identity.test_login import log_in
from tests.support.people import Actor, Cast

FILE = {"file_name": "a.txt", "mime_type": "text/plain", "size_bytes": 10}


def submit(olga: Actor, path: str, **form: str) -> str:
    """Send a form of the page; the page that follows."""
    answer = olga.browser.post(f"/operator/{path}", data=form, follow_redirects=True)
    assert answer.status_code == 200, answer.text
    return answer.text


def acts(cast: Cast) -> list[str]:
    with cast.app.app_context():
        return list(db.session.scalars(select(OperatorAct.action).order_by(OperatorAct.id)))


def audited(cast: Cast) -> list[tuple[str, dict[str, Any]]]:
    with cast.app.app_context():
        enter(cast.acme.id)
        rows = db.session.execute(select(AuditEvent.action, AuditEvent.facts).order_by(AuditEvent.id))
        return [(action, facts) for action, facts in rows]


def test_paused_uploads_are_refused_at_begin_with_the_reason(cast: Cast, olga: Actor) -> None:
    submit(olga, "pause", reason="We move to larger disks until six.")
    refusal = cast.alice.api.post(cast.url("uploads"), json=FILE)
    assert refusal.status_code == 503
    assert refusal.get_json()["code"] == "unavailable"
    assert "larger disks until six" in refusal.get_json()["detail"]
    assert refusal.headers["Retry-After"]
    batch = cast.alice.api.post(cast.url("uploads/batch"), json={"items": [FILE]})
    assert batch.get_json()["items"][0]["status"] == 503
    assert "larger disks until six" in cast.alice.browser.get(cast.page("files")).text
    assert "Somebody else has already done this" in submit(olga, "pause", reason="again")
    submit(olga, "resume")
    assert cast.alice.api.post(cast.url("uploads"), json=FILE).status_code == 201
    assert acts(cast)[-2:] == ["uploads.paused", "uploads.resumed"]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a_pause_needs_a_reason(cast: Cast, olga: Actor, reason: str) -> None:
    assert "Give a reason of 1 to 500 characters" in submit(olga, "pause", reason=reason)
    assert cast.alice.api.post(cast.url("uploads"), json=FILE).status_code == 201


def test_a_read_only_tenant_can_be_read_and_not_changed(cast: Cast, olga: Actor) -> None:
    submit(olga, "tenants/close", slug=cast.acme.slug, reason="The contract is being checked.")
    refusal = cast.alice.api.post(cast.url("uploads"), json=FILE)
    assert refusal.status_code == 403
    assert "The contract is being checked." in refusal.get_json()["detail"]
    limit = cast.tina.api.put(cast.url("quota"), json={"limit_bytes": 1})
    assert limit.status_code == 403
    assert cast.alice.api.get(cast.url("assets")).status_code == 200
    page = cast.alice.browser.get(cast.page("files")).text
    assert "The contract is being checked." in page and 'data-upload="files"' not in page
    foreign = cast.mallory.api.post(cast.url("uploads"), json=FILE)
    assert foreign.status_code == 404, "nobody outside the tenant sees the reason"
    assert cast.mallory.api.post(cast.url("uploads", cast.lair), json=FILE).status_code == 201
    submit(olga, "tenants/open", slug=cast.acme.slug)
    assert cast.alice.api.post(cast.url("uploads"), json=FILE).status_code == 201
    recorded = [action for action, _facts in audited(cast) if action.startswith("tenant.") and "member" not in action]
    assert recorded[-2:] == ["tenant.read_only", "tenant.writable"]


def test_a_blocked_person_is_refused_at_once_with_session_token_and_password(cast: Cast, olga: Actor) -> None:
    assert cast.bob.api.get("/v1/me").status_code == 200
    assert cast.bob.browser.get("/workspaces").status_code == 200
    submit(olga, "people/block", email=cast.bob.email.upper(), reason="The laptop was stolen.")
    assert cast.bob.api.get("/v1/me").status_code == 401
    assert cast.bob.api.get(cast.url("assets")).status_code == 401
    assert cast.bob.browser.get("/workspaces").status_code == 302
    assert not logs_in(cast, cast.bob)
    assert ("person.blocked", {"reason": "The laptop was stolen."}) in audited(cast)
    submit(olga, "people/unblock", email=cast.bob.email)
    assert cast.bob.api.get("/v1/me").status_code == 200
    assert cast.bob.browser.get("/workspaces").status_code == 302, "the stolen session stays ended"
    assert logs_in(cast, cast.bob)


def logs_in(cast: Cast, actor: Actor) -> bool:
    return log_in(cast.nobody, actor.email).status_code == 302


def test_nobody_can_block_themselves_or_an_unknown_person(cast: Cast, olga: Actor) -> None:
    assert "another operator can" in submit(olga, "people/block", email=olga.email, reason="x")
    assert "Nobody has the e-mail address" in submit(olga, "people/block", email="no@example.com", reason="x")
    assert olga.browser.get("/operator").status_code == 200


def test_a_temporary_limit_ends_on_its_day(cast: Cast, olga: Actor) -> None:
    submit(olga, "tenants/raise", slug=cast.acme.slug, limit="200 GB", until="2999-12-31")
    assert "quota.override" in acts(cast)
    for wrong in ({"limit": "-1"}, {"limit": "1e99"}, {"until": "tomorrow"}, {"until": "2001-01-01"}, {"slug": "no"}):
        form = {"slug": cast.acme.slug, "limit": "1 GB", "until": "2999-12-31", **wrong}
        assert "alert-danger" in submit(olga, "tenants/raise", **form), wrong


def test_new_uploads_are_refused_when_the_disk_is_full(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "embedded_disk", lambda _settings: Disk(free=4, total=100))
    refusal = cast.alice.api.post(cast.url("uploads"), json=FILE)
    assert refusal.status_code == 503
    assert refusal.get_json()["code"] == "storage_unavailable"
    monkeypatch.setattr(disk, "embedded_disk", lambda _settings: Disk(free=6, total=100))
    assert cast.alice.api.post(cast.url("uploads"), json=FILE).status_code == 201
