"""Decisions about quarantined files: carried out once, with a reason, by admins, and recorded."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import select

from portal.assets import jobs as asset_jobs
from portal.assets.models import AssetState, PreviewState, ScanResult
from portal.audit import AuditEvent
from portal.database import db, enter, now
from portal.events.models import Event
from portal.inspection import scanner_status
from portal.inspection.scan_result import ScannerReport
from portal.objectstore import keys
from portal.texts import Text
from tests.support import pictures
from tests.support.engines import EICAR, SIGNATURE
from tests.support.factories import change_asset, find_asset, find_task, read_asset
from tests.support.people import Cast
from tests.support.quarantine import (
    CLEAN,
    WHY,
    decide,
    decided,
    infected,
    make_admin,
    quarantined,
    run_job,
    set_rules,
    stored,
)

ACTIONS = ("rescan", "release", "delete")


def test_deleting_removes_bytes_row_and_used_space(cast: Cast) -> None:
    asset_id = quarantined(cast)
    answer = decide(cast, cast.tina.api, asset_id, "delete")
    assert answer.status_code == 200, answer.text
    assert cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine").get_json()["items"] == []
    assert cast.vera.api.get(cast.url("quota")).get_json()["used_bytes"] == len(CLEAN)
    with cast.app.app_context():
        asset_jobs.purge(str(cast.acme.id), str(cast.press.id), str(asset_id))
    assert find_asset(cast, asset_id) is None
    assert stored(cast) == []
    assert cast.vera.api.get(cast.url("quota")).get_json()["used_bytes"] == 0
    assert decided(cast, asset_id) == ["delete"]


def test_a_released_file_is_like_any_other_and_stays_marked(cast: Cast) -> None:
    picture = pictures.exif_orientation(1)
    asset_id = quarantined(cast, picture, "sea.jpg", mime_type="image/jpeg", kind="photo")
    assert decide(cast, cast.tina.api, asset_id, "release").status_code == 200
    assert read_asset(cast, asset_id).state is AssetState.QUARANTINED
    run_job(cast, "release", asset_id)
    asset = read_asset(cast, asset_id)
    assert (asset.state, asset.previews, asset.released_by) == (
        AssetState.AVAILABLE,
        PreviewState.PENDING,
        cast.tina.id,
    )
    assert (asset.purge_after, asset.quarantine_order, asset.reason_code) == (None, None, None)
    assert asset.scan_result is ScanResult.CLEAN
    assert stored(cast) == [asset.object_key]
    assert (asset.object_key or "").startswith(keys.original_prefix(cast.press.id, asset_id))
    shown = cast.vera.api.get(cast.url(f"assets/{asset_id}")).get_json()
    assert (shown["status"], shown["reason"], shown["released"]["by"]) == ("available", None, str(cast.tina.id))
    assert cast.vera.api.get(cast.url(f"assets/{asset_id}/download")).status_code == 302
    page = cast.vera.browser.get(cast.page(f"files/{asset_id}")).text
    assert "from quarantine, by Tina" in page and "Released from quarantine" in page
    assert "Released from quarantine" in cast.vera.browser.get(cast.page("files")).text
    with cast.app.app_context():
        asset_jobs.render_previews(str(cast.acme.id), str(cast.press.id), str(asset_id))
    assert read_asset(cast, asset_id).previews is PreviewState.READY
    assert decided(cast, asset_id) == ["release", "outcome"]


def test_a_release_whose_scan_finds_a_virus_leaves_the_file_in_quarantine(cast: Cast) -> None:
    asset_id = quarantined(cast, EICAR)
    assert decide(cast, cast.tina.api, asset_id, "release").status_code == 200
    run_job(cast, "release", asset_id)
    asset = read_asset(cast, asset_id)
    assert (asset.state, asset.scan_result, asset.reason_code) == (
        AssetState.QUARANTINED,
        ScanResult.INFECTED,
        "infected",
    )
    assert stored(cast) == [asset.object_key]
    assert decided(cast, asset_id) == ["release", "outcome"]
    assert SIGNATURE in (asset.scan_signature or "")


def test_an_infected_file_is_refused_by_the_rules_or_needs_an_explicit_confirmation(cast: Cast) -> None:
    asset_id = infected(cast, EICAR)
    refused = decide(cast, cast.tina.api, asset_id, "release")
    assert (refused.status_code, refused.get_json()["code"]) == (403, "forbidden")
    assert decide(cast, cast.tina.api, asset_id, "release", infected_too=True).status_code == 403
    set_rules(cast, release_infected=True)
    unconfirmed = decide(cast, cast.tina.api, asset_id, "release")
    assert unconfirmed.status_code == 409
    assert unconfirmed.get_json()["confirm"] == "infected_too"
    assert decide(cast, cast.tina.api, asset_id, "release", infected_too=True).status_code == 200
    run_job(cast, "release", asset_id)
    asset = read_asset(cast, asset_id)
    assert (asset.state, asset.scan_result) == (AssetState.AVAILABLE, ScanResult.INFECTED)
    assert decided(cast, asset_id) == ["release", "outcome"]


def test_rules_that_became_stricter_apply_to_a_release_that_waited(cast: Cast) -> None:
    asset_id = infected(cast, EICAR)
    set_rules(cast, release_infected=True)
    assert decide(cast, cast.tina.api, asset_id, "release", infected_too=True).status_code == 200
    set_rules(cast, release_infected=False)
    run_job(cast, "release", asset_id)
    assert read_asset(cast, asset_id).state is AssetState.QUARANTINED


def test_a_file_whose_content_does_not_match_its_name_is_never_released(cast: Cast) -> None:
    asset_id = quarantined(cast, b"no picture at all", "sea.jpg", mime_type="text/plain")
    decide(cast, cast.tina.api, asset_id, "release")
    run_job(cast, "release", asset_id)
    assert read_asset(cast, asset_id).state is AssetState.QUARANTINED
    assert [key for key in stored(cast) if "/assets/" in key] == []


def test_where_two_persons_are_required_one_proposes_and_another_confirms(cast: Cast) -> None:
    set_rules(cast, two_persons=True)
    second = make_admin(cast, cast.bob)
    asset_id = quarantined(cast)
    assert "Another administrator" in decide(cast, cast.tina.api, asset_id, "release").get_json()["detail"]
    run_job(cast, "release", asset_id)
    assert read_asset(cast, asset_id).state is AssetState.QUARANTINED
    again = decide(cast, cast.tina.api, asset_id, "release")
    assert again.status_code == 409
    assert "You proposed" in again.get_json()["detail"]
    assert decide(cast, second.api, asset_id, "release").status_code == 200
    run_job(cast, "release", asset_id)
    assert read_asset(cast, asset_id).released_by == second.id
    assert decided(cast, asset_id) == ["propose", "release", "outcome"]


def test_nobody_releases_what_they_uploaded_themselves(cast: Cast) -> None:
    admin = make_admin(cast, cast.alice)
    asset_id = quarantined(cast)
    refused = decide(cast, admin.api, asset_id, "release")
    assert refused.status_code == 403
    assert "uploaded this file yourself" in refused.get_json()["detail"]
    set_rules(cast, two_persons=True)
    assert decide(cast, admin.api, asset_id, "release").status_code == 403
    assert decided(cast, asset_id) == []


@pytest.mark.parametrize(
    ("content", "code", "text"),
    [(CLEAN, "clean_now", "nothing was found"), (EICAR, "infected", "A virus was found")],
)
def test_a_second_scan_records_its_verdict_and_leaves_the_decision_to_the_admin(
    cast: Cast, content: bytes, code: str, text: str
) -> None:
    asset_id = quarantined(cast, content)
    assert decide(cast, cast.tina.api, asset_id, "rescan").status_code == 200
    run_job(cast, "rescan", asset_id)
    asset = read_asset(cast, asset_id)
    assert (asset.state, asset.reason_code, asset.quarantine_order) == (AssetState.QUARANTINED, code, None)
    assert asset.scanned_at is not None and asset.scan_engine is not None
    (item,) = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine?reason={code}").get_json()["items"]
    assert text in item["reason"]
    assert stored(cast) == [asset.object_key]
    run_job(cast, "rescan", asset_id)
    assert decided(cast, asset_id) == ["rescan", "outcome"]


def test_a_scan_after_the_next_update_waits_for_other_signatures(cast: Cast) -> None:
    def updated(database: str) -> None:
        with cast.app.app_context():
            enter(None)
            scanner_status.save(ScannerReport("ready", Text("fine"), "ClamAV", database, reports_limits=True))

    def waits(asset_id: UUID) -> bool:
        task = find_task(cast, "rescan_quarantined", asset_id)
        assert task is not None
        return (task.due_at, task.waiting_for) == (None, "signatures")

    updated("27817/Mon Nov 23 10:24:00 2026")
    asset_id = quarantined(cast, scan_database="27817/Mon Nov 23 10:24:00 2026")
    older = quarantined(cast, scan_database="27800/Fri Nov 6 10:24:00 2026")
    for each in (asset_id, older):
        assert decide(cast, cast.tina.api, each, "rescan", after_update=True).status_code == 200
    assert waits(asset_id)
    assert not waits(older), "the signatures have changed since it was scanned"
    updated("27817/Mon Nov 23 10:24:00 2026")
    assert waits(asset_id)
    updated("27818/Tue Nov 24 10:24:00 2026")
    assert not waits(asset_id)


@pytest.mark.parametrize(("first", "second"), [("delete", "release"), ("release", "delete"), ("release", "rescan")])
def test_of_two_who_decide_at_once_one_wins_and_the_other_gets_a_conflict(cast: Cast, first: str, second: str) -> None:
    other = make_admin(cast, cast.bob)
    asset_id = quarantined(cast)
    assert decide(cast, cast.tina.api, asset_id, first, "The first was here.").status_code == 200
    late = decide(cast, other.api, asset_id, second)
    assert (late.status_code, late.get_json()["code"]) == (409, "conflict")
    assert "Tina" in late.get_json()["detail"] and "The first was here." in late.get_json()["detail"]
    assert decided(cast, asset_id) == [first]


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("reason", ["", "  x ", "y" * 10_000, "a\0b" * 3])
def test_a_reason_has_three_to_a_thousand_characters(cast: Cast, action: str, reason: str) -> None:
    asset_id = quarantined(cast)
    refused = decide(cast, cast.tina.api, asset_id, action, reason)
    assert (refused.status_code, refused.get_json()["code"]) == (422, "invalid")
    assert decided(cast, asset_id) == []


@pytest.mark.parametrize("action", ACTIONS)
def test_only_admins_of_this_tenant_decide(cast: Cast, action: str) -> None:
    asset_id = quarantined(cast)
    for actor in (cast.alice, cast.bob, cast.vera):
        assert decide(cast, actor.api, asset_id, action).status_code == 403
    assert decide(cast, cast.mallory.api, asset_id, action).status_code == 404
    theirs = f"/v1/tenants/{cast.evil.id}/quarantine/{asset_id}/{action}"
    foreign = cast.mallory.api.post(theirs, json={"reason": WHY})
    missing = cast.mallory.api.post(theirs.replace(str(asset_id), str(uuid4())), json={"reason": WHY})
    assert foreign.status_code == missing.status_code == 404
    assert foreign.data == missing.data
    assert read_asset(cast, asset_id).quarantine_order is None
    assert decided(cast, asset_id) == []


def test_a_file_that_is_not_quarantined_gives_404(cast: Cast) -> None:
    asset_id = quarantined(cast, state=AssetState.AVAILABLE)
    for action in ACTIONS:
        assert decide(cast, cast.tina.api, asset_id, action).status_code == 404


def test_a_file_whose_purge_has_begun_gives_a_conflict(cast: Cast) -> None:
    asset_id = quarantined(cast)
    decide(cast, cast.tina.api, asset_id, "rescan")
    change_asset(cast, asset_id, purge_after=now() - timedelta(seconds=1))
    late = decide(cast, cast.tina.api, asset_id, "release")
    assert late.status_code == 409
    assert "not in quarantine any more" in late.get_json()["detail"]


def test_every_decision_is_in_the_audit_log_and_an_event(cast: Cast) -> None:
    asset_id = quarantined(cast)
    decide(cast, cast.tina.api, asset_id, "rescan")
    with cast.app.app_context():
        enter(cast.acme.id)
        (audit,) = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "quarantine.rescan"))
        (event,) = db.session.scalars(select(Event).where(Event.type == "quarantine.decided"))
    assert (audit.actor_id, audit.target_id, audit.facts["reason"]) == (cast.tina.id, asset_id, WHY)
    assert (event.data["decision"], event.data["asset_id"]) == ("rescan", str(asset_id))
