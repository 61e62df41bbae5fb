"""The scanner pages: state, signatures, results by day, and what operators can do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete

from portal import database
from portal.assets import daily_counts
from portal.assets.models import Rescan
from portal.inspection import scanner_status
from portal.inspection.scan_result import ScannerReport
from portal.inspection.scanner import Scanner
from portal.lifecycle import doctor
from portal.operations import scanner
from portal.texts import Text
from tests.support.people import Actor, Cast


def save_report(cast: Cast, **changed: object) -> None:
    facts = {"state": "ready", "detail": Text("fine"), "engine": "ClamAV 1.4.6", "database": dated(0), **changed}
    with cast.app.app_context():
        scanner_status.save(ScannerReport(**facts))  # type: ignore[arg-type]


def dated(days: int) -> str:
    return f"27817/{(database.now() - timedelta(days=days)).strftime('%a %b %d %H:%M:%S %Y')}"


def test_operators_see_engine_signatures_queue_and_verdicts(cast: Cast, olga: Actor) -> None:
    save_report(cast)
    with cast.app.app_context(), database.transaction(cast.acme.id):
        daily_counts.count(cast.acme.id, "scan", "clean")
        daily_counts.count(cast.acme.id, "scan", "infected")
    page = olga.browser.get("/operator/scanner").text
    for text in ("ClamAV 1.4.6", "version 27817", "EICAR test", "files a minute", "Infected", "Show as a table"):
        assert text in page, text
    assert "It works" in page and "old signatures" not in page


def test_admins_of_a_tenant_see_their_own_results_and_no_buttons(cast: Cast) -> None:
    save_report(cast)
    with cast.app.app_context():
        with database.transaction(cast.acme.id):
            for _ in range(3):
                daily_counts.count(cast.acme.id, "scan", "clean")
        with database.transaction(cast.evil.id):
            daily_counts.count(cast.evil.id, "scan", "clean")
        database.enter(cast.acme.id)
        assert scanner.of_tenant(cast.acme.id).days[-1].numbers["clean"] == 3
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/scanner")
    assert page.status_code == 200 and "/operator/" not in page.text
    assert cast.bob.browser.get(f"/t/{cast.acme.slug}/scanner").status_code == 403
    assert cast.mallory.browser.get(f"/t/{cast.acme.slug}/scanner").status_code == 404
    assert f"/t/{cast.acme.slug}/scanner" in cast.tina.browser.get(f"/t/{cast.acme.slug}/overview").text


def test_signatures_older_than_two_days_are_a_warning(cast: Cast, olga: Actor) -> None:
    save_report(cast, database=dated(3))
    page = olga.browser.get("/operator/scanner").text
    assert "It works, with old signatures" in page and "3 days" in page


def test_the_doctor_warns_of_old_signatures(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    report = ScannerReport("ready", Text("fine"), "ClamAV", dated(5), reports_limits=True)
    monkeypatch.setattr(Scanner, "report", lambda _self: report)
    with cast.app.app_context():
        found = doctor._scanner(verify=False)
    assert found.ok is None and "5 days old" in found.detail.english


def test_operators_can_test_and_reload_the_scanner(cast: Cast, olga: Actor) -> None:
    save_report(cast, state="down", detail=Text("It was unavailable."))
    answer = olga.browser.post("/operator/scanner/test", follow_redirects=True).text
    assert "It works" in answer and "It was unavailable." not in answer
    assert "alert-success" in olga.browser.post("/operator/scanner/reload", follow_redirects=True).text


def test_a_test_of_a_scanner_that_is_down_is_no_success(cast: Cast, olga: Actor) -> None:
    settings = cast.app.extensions["portal.settings"]
    cast.app.extensions["portal.settings"] = replace(settings, scanner_url="tcp://127.0.0.1:1")
    try:
        answer = olga.browser.post("/operator/scanner/test", follow_redirects=True).text
    finally:
        cast.app.extensions["portal.settings"] = settings
        olga.browser.post("/operator/scanner/test")
    assert "alert-danger" in answer and "alert-success" not in answer


def test_new_signatures_can_be_requested_where_freshclam_is_ours(cast: Cast, olga: Actor, tmp_path: Path) -> None:
    assert "freshclam runs elsewhere" in olga.browser.get("/operator/scanner").text
    assert "alert-danger" in olga.browser.post("/operator/scanner/update", follow_redirects=True).text
    settings = cast.app.extensions["portal.settings"]
    cast.app.extensions["portal.settings"] = replace(settings, signatures_ask=tmp_path / "ask")
    try:
        assert "Update now" in olga.browser.get("/operator/scanner").text
        assert "alert-success" in olga.browser.post("/operator/scanner/update", follow_redirects=True).text
    finally:
        cast.app.extensions["portal.settings"] = settings
    assert (tmp_path / "ask").exists()


def test_a_scan_of_all_files_is_started_shown_and_stopped(cast: Cast, olga: Actor) -> None:
    save_report(cast)
    with cast.app.app_context(), database.transaction() as session:
        session.execute(delete(Rescan))
    answer = olga.browser.post("/operator/scanner/rescan", follow_redirects=True).text
    assert "after all other work" in answer and "<progress" in answer
    assert "running already" in olga.browser.post("/operator/scanner/rescan", follow_redirects=True).text
    assert "The scan was stopped" in olga.browser.post("/operator/scanner/rescan/stop", follow_redirects=True).text
