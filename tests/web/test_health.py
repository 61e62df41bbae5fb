"""Liveness, readiness and metrics."""

from __future__ import annotations

from dataclasses import replace
from threading import Event

import pytest
from flask import Flask

from portal.app import create_app
from portal.database import db
from portal.web import health
from portal.web.health import Check
from tests.support.engines import TestEngines
from tests.support.people import Cast, Client


def test_ready_names_each_part(cast: Cast) -> None:
    answer = cast.nobody.get("/readyz")
    assert answer.status_code == 200, answer.text
    assert set(answer.get_json()["checks"]) == {"database", "redis", "store", "scanner"}
    assert answer.get_json()["checks"]["database"] == "ok"


def test_without_valkey_the_portal_is_ready_without_store_or_database_it_is_not(engines: TestEngines) -> None:
    settings = engines.settings()
    nowhere = "127.0.0.1:1"
    cases = [
        (replace(settings, redis_url=f"redis://{nowhere}/0"), "redis", 200),
        (replace(settings, scanner_url=f"tcp://{nowhere}"), "scanner", 200),
        (replace(settings, s3_endpoint=f"http://{nowhere}"), "store", 503),
        (replace(settings, database_url=f"postgresql+psycopg://a:b@{nowhere}/c"), "database", 503),
    ]
    for changed, name, status in cases:
        away = create_app(changed)
        answer = Client(away).get("/readyz")
        assert answer.status_code == status, (name, answer.text)
        assert answer.get_json()["checks"][name] != "ok"
        assert Client(away).get("/healthz").status_code == 200
        with away.app_context():
            db.engine.dispose()


def test_a_check_without_an_answer_occupies_one_thread_however_often_it_runs(
    engines: TestEngines, monkeypatch: pytest.MonkeyPatch
) -> None:
    app, begun, answers = create_app(engines.settings()), [], Event()

    def mute() -> None:
        begun.append(1)
        answers.wait()

    app.extensions["portal.checks"] = [Check("mute", mute, vital=True)]
    with monkeypatch.context() as patch:
        patch.setattr(health, "TIMEOUT_SECONDS", 0.01)
        told = [Client(app).get("/readyz").get_json()["checks"]["mute"] for _ in range(3)]
    assert (len(begun), {"no answer" in words for words in told}) == (1, {True})
    answers.set()
    assert Client(app).get("/readyz").get_json()["checks"] == {"mute": "ok"}
    with app.app_context():
        db.engine.dispose()


def test_without_a_database_api_and_pages_say_so_with_503(engines: TestEngines, cast: Cast) -> None:
    away = create_app(replace(engines.settings(), database_url="postgresql+psycopg://a:b@127.0.0.1:1/c"))
    answer = Client(away).get("/v1/me", headers={"Authorization": "Bearer stw_x"})
    assert answer.status_code == 503
    assert answer.get_json()["code"] == "unavailable"
    client = Client(away)
    session = cast.alice.browser.get_cookie("stowage_session")
    assert session is not None
    client.set_cookie("stowage_session", session.value)
    page = client.get("/workspaces")
    assert page.status_code == 503
    assert 'id="main"' in page.text and page.headers["X-Request-ID"] in page.text
    with away.app_context():
        db.engine.dispose()


def test_a_connection_that_the_server_closed_is_replaced(engines: TestEngines, app: Flask, cast: Cast) -> None:
    assert cast.alice.api.get("/v1/me").status_code == 200
    engines.postgres.stop()
    engines.postgres.restart()
    assert cast.alice.api.get("/v1/me").status_code == 200


def test_metrics_count_by_endpoint(cast: Cast) -> None:
    cast.alice.api.get("/v1/me")
    text = cast.nobody.get("/metrics").text
    assert 'portal_http_requests_total{endpoint="tenancy_api.me",method="GET",status="200"}' in text
