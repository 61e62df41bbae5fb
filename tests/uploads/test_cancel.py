"""How a session ends without a file: cancelled, out of time, or refused; its reservation is back and its bytes go."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import httpx
import pytest

from tests.support.api_client import done, refused
from tests.support.client import Scene


def cancel(scene: Scene, upload_id: str) -> httpx.Response:
    return scene.alice.call("DELETE", f"uploads/{upload_id}")


def test_a_cancelled_upload_releases_its_reservation_and_deletes_its_bytes(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    assert cancel(scene, begun["upload_id"]).status_code == 204
    assert scene.alice.quota() == (0, 0)
    assert scene.site.run_jobs() == ["clear_staging"]
    assert scene.objects() == []
    state = scene.alice.upload_state(begun["upload_id"])
    assert (state["state"], state["reason"]["code"], state["upload_url"]) == ("aborted", "aborted", None)
    assert cancel(scene, begun["upload_id"]).status_code == 204
    refused(scene.alice.commit(begun["upload_id"]), 409, "conflict")
    assert scene.site.ledger(begun["upload_id"]) == ["reserve", "release"]


def test_a_committed_upload_can_not_be_cancelled(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    refused(cancel(scene, sent.upload_id), 409, "conflict")
    scene.site.run_jobs()
    refused(cancel(scene, sent.upload_id), 409, "conflict")
    assert scene.alice.download(sent.asset_id).content == text


def test_an_upload_expires_by_itself(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    scene.site.expire_upload(begun["upload_id"])
    assert scene.site.sweep()["expire"] == 1
    assert scene.alice.quota() == (0, 0)
    scene.site.run_jobs()
    assert scene.objects() == []
    state = scene.alice.upload_state(begun["upload_id"])
    assert (state["state"], state["reason"]["code"]) == ("expired", "upload_expired")
    refused(scene.alice.commit(begun["upload_id"]), 409, "upload_expired")
    assert "expire" not in scene.site.sweep()
    assert scene.site.ledger(begun["upload_id"]) == ["reserve", "release"]


def test_a_commit_after_the_expiry_is_refused(scene: Scene, text: bytes) -> None:
    begun = scene.alice.sent("a.txt", text)
    scene.site.expire_upload(begun["upload_id"])
    refused(scene.alice.commit(begun["upload_id"]), 409, "upload_expired")
    assert scene.alice.upload_state(begun["upload_id"])["state"] == "expired"
    assert scene.alice.quota() == (0, 0)


def test_a_session_lives_an_hour_plus_the_time_of_a_slow_connection(scene: Scene) -> None:
    small, large = (done(scene.alice.begin("a.mp4", size), 201) for size in (1000, 450_000_000))
    lives = "SELECT extract(epoch FROM expires_at - created_at) FROM uploads WHERE id = %s"
    seconds = [float(scene.site.sql(lives, UUID(each["upload_id"]))[0][0]) for each in (small, large)]
    assert seconds == pytest.approx([3600, 3600 + 3600], abs=5)


def test_a_wrong_size_at_commit_ends_the_upload(scene: Scene, text: bytes) -> None:
    begun = done(scene.alice.begin("a.txt", len(text)), 201)
    scene.site.put(scene.staging_key(begun, "a.txt"), text + b"more")
    problem = refused(scene.alice.commit(begun["upload_id"]), 422, "size_mismatch")
    assert (problem["expected_bytes"], problem["found_bytes"]) == (len(text), len(text) + 4)
    scene.site.run_jobs()
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    state = scene.alice.upload_state(begun["upload_id"])
    assert (state["state"], state["reason"]["code"]) == ("failed", "size_mismatch")
    assert state["reason"]["detail"]
    refused(scene.alice.commit(begun["upload_id"]), 422, "size_mismatch")
    assert scene.site.ledger(begun["upload_id"]) == ["reserve", "release"]


def outcomes(*calls: Any) -> list[httpx.Response]:
    with ThreadPoolExecutor(len(calls)) as pool:
        return [each.result() for each in [pool.submit(call) for call in calls]]


@pytest.mark.parametrize("attempt", range(5))
def test_a_race_of_commit_and_cancel_has_one_winner(scene: Scene, text: bytes, attempt: int) -> None:
    begun = scene.alice.sent("a.txt", text)
    committed, cancelled = outcomes(
        lambda: scene.alice.commit(begun["upload_id"]), lambda: cancel(scene, begun["upload_id"])
    )
    assert {committed.status_code, cancelled.status_code} in ({200, 409}, {409, 204})
    scene.site.run_jobs()
    won = committed.status_code == 200
    assert scene.alice.quota() == (len(text) if won else 0, 0)
    assert scene.site.ledger(begun["upload_id"]) == ["reserve", "settle" if won else "release"]
    assert len(scene.objects()) == (1 if won else 0)
    assert scene.site.broken(scene.cast) == []


@pytest.mark.parametrize("attempt", range(5))
def test_a_race_of_commit_and_expiry_has_one_winner(scene: Scene, text: bytes, attempt: int) -> None:
    begun = scene.alice.sent("a.txt", text)
    soon = "UPDATE uploads SET expires_at = now() + interval '20 milliseconds' WHERE id = %s"
    scene.site.sql(soon, UUID(begun["upload_id"]))
    answers = outcomes(*[lambda: scene.alice.commit(begun["upload_id"])] * 4, scene.site.sweep, scene.site.sweep)[:4]
    scene.site.sweep()
    codes = {answer.status_code for answer in answers}
    state = scene.alice.upload_state(begun["upload_id"])["state"]
    assert (codes, state) in (({200}, "verifying"), ({409}, "expired"))
    scene.site.run_jobs()
    assert scene.alice.quota() == (len(text) if codes == {200} else 0, 0)
    assert scene.site.broken(scene.cast) == []
