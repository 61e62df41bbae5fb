"""The operations page: it shows every part, and operators can retry or give up failures."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import update

from portal import database
from portal.admin import service as admin
from portal.assets.models import AssetState, PreviewState, ScanResult
from portal.lifecycle import periodic_tasks
from portal.lifecycle.models import PeriodicTaskRun
from portal.texts import Text
from tests.support.client import Scene
from tests.support.factories import change_asset, change_task, find_task, make_asset, read_asset, schedule
from tests.support.people import Actor, Cast


def test_the_page_shows_every_part(cast: Cast, olga: Actor) -> None:
    with cast.app.app_context():
        periodic_tasks.record_sweep(database.now(), Counter(take_in=3))
        periodic_tasks.run("doctor")
    page = olga.browser.get("/operator")
    assert page.status_code == 200
    for text in (
        "take_in 3",
        "The managed storage answers",
        "Connections",
        "virus scanner",
        "parts answer",
        "Switches",
    ):
        assert text in page.text, text
    assert 'href="/operator"' in olga.browser.get("/workspaces").text
    assert 'href="/operator"' not in cast.alice.browser.get("/workspaces").text


def test_a_stopped_scheduler_is_shown(cast: Cast, olga: Actor) -> None:
    with cast.app.app_context():
        periodic_tasks.record_sweep(database.now(), Counter())
    assert "It has stopped" not in olga.browser.get("/operator/dashboard").text
    with cast.app.app_context(), database.transaction() as session:
        session.execute(update(PeriodicTaskRun).values(finished_at=database.now() - timedelta(minutes=5)))
    assert "It has stopped" in olga.browser.get("/operator/dashboard").text


def test_failed_previews_are_counted_retried_and_given_up(cast: Cast, olga: Actor) -> None:
    code = f"bad_{cast.acme.slug[-8:]}"
    failed: dict[str, Any] = {"previews": PreviewState.FAILED, "previews_code": code, "previews_detail": Text("no")}
    first, second = make_asset(cast, "a.jpg", **failed), make_asset(cast, "b.jpg", **failed)
    assert "Retry 2" in olga.browser.get("/operator/dashboard").text
    send(olga, kind="previews", code=code, act="retry")
    for asset_id in (first, second):
        asset = read_asset(cast, asset_id)
        assert (asset.previews, asset.previews_code) == (PreviewState.PENDING, None)
        assert find_task(cast, "render_previews", asset_id) is not None
        change_asset(cast, asset_id, **failed)
    send(olga, kind="previews", code=code, act="give_up")
    assert read_asset(cast, first).previews is PreviewState.NONE
    assert "were processed" in send(olga, kind="previews", code=code, act="give_up"), "twice is harmless"


def send(olga: Actor, **form: str) -> str:
    answer = olga.browser.post("/operator/failures", data=form, follow_redirects=True)
    assert answer.status_code == 200
    return answer.text


def test_a_check_that_is_given_up_releases_its_space_and_says_why(scene: Scene, text: bytes) -> None:
    with scene.cast.app.app_context():
        admin.make_operator(scene.cast.vera.email)
    sent = scene.alice.upload("a.txt", text)
    other = scene.alice.upload("b.txt", text)
    for upload in (sent, other):
        change_task(scene.cast, "take_in", UUID(upload.asset_id), waiting_for="scanner_unavailable", attempts=2)
    olga = scene.cast.vera
    answer = olga.browser.post(
        "/operator/failures", data={"kind": "check", "code": "scanner_unavailable", "act": "retry"}
    )
    assert answer.status_code == 303
    task = find_task(scene.cast, "take_in", UUID(sent.asset_id))
    assert task is not None and (task.attempts, task.waiting_for) == (0, None)
    change_task(scene.cast, "take_in", UUID(sent.asset_id), waiting_for="scanner_unavailable", attempts=2)
    olga.browser.post("/operator/failures", data={"kind": "check", "code": "scanner_unavailable", "act": "give_up"})
    ended = scene.alice.asset(sent.asset_id)
    assert ended["status"] == "failed" and ended["reason"]["code"] == "given_up"
    assert scene.alice.upload_state(sent.upload_id)["state"] == "failed"
    scene.site.run_jobs()
    assert scene.alice.asset(other.asset_id)["status"] == "available"
    assert scene.alice.quota() == (len(text), 0)
    assert scene.site.broken(scene.cast) == []


def test_waiting_tasks_can_be_made_due_now(cast: Cast, olga: Actor) -> None:
    later = database.now() + timedelta(hours=1)
    asset_id = make_asset(
        cast,
        state=AssetState.PROCESSING,
        scan_result=ScanResult.PENDING,
        previews=PreviewState.NONE,
        charged_bytes=0,
    )
    schedule(cast, "take_in", asset_id)
    change_task(cast, "take_in", asset_id, due_at=later, attempts=1)
    answer = olga.browser.post("/operator/restart", follow_redirects=True)
    assert "due now" in answer.text
    task = find_task(cast, "take_in", asset_id)
    assert task is not None and task.due_at is not None and task.due_at < later
    change_asset(cast, asset_id, state=AssetState.FAILED)


def test_a_periodic_task_can_be_made_due_now(cast: Cast, olga: Actor) -> None:
    with cast.app.app_context():
        periodic_tasks.run("doctor")
        assert "doctor" not in periodic_tasks._due()
        assert olga.browser.post("/operator/periodic-tasks", data={"name": "doctor"}).status_code == 303
        assert "doctor" in periodic_tasks._due()
    assert (
        "There is no periodic task"
        in olga.browser.post("/operator/periodic-tasks", data={"name": "x"}, follow_redirects=True).text
    )
