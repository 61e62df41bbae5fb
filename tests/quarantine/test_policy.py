"""A tenant's scan rules: read and changed by its admins, and applied to the next file that is checked."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from stream_zip import ZIP_32, stream_zip

from portal.inspection.scan_result import ScannerReport, verdict_of
from portal.inspection.scanner import Scanner
from portal.texts import Text
from tests.support import macros
from tests.support.clamd_daemons import LIMIT_BYTES, Daemon
from tests.support.client import Scene, Site, served
from tests.support.engines import EICAR, TestEngines
from tests.support.people import Cast
from tests.support.processes import own_settings
from tests.support.quarantine import set_rules

DEFAULTS = {
    "too_large": "hold",
    "encrypted": "hold",
    "macros": "release",
    "unscannable": "hold",
    "scanner_required": False,
    "two_persons": False,
    "release_infected": False,
    "pending": None,
}
LARGE = b"A very long text. " * (LIMIT_BYTES // 16)
READY = ScannerReport("ready", Text(""), "ClamAV 1.4.6", "27817", reports_limits=True)


def locked() -> bytes:
    """A zip with a password, as people make them."""
    at = datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC)
    return b"".join(stream_zip([("secret.txt", at, 0o100600, ZIP_32, [b"hello"])], password="secret"))


@pytest.fixture(scope="module")
def site(engines: TestEngines) -> Iterator[Site]:
    """A portal with a scanner of its own that takes 8 MB."""
    with Daemon(dated=True) as daemon:
        scanner: dict[str, Any] = {"scanner_url": daemon.tcp, "scanner_test_database": None}
        yield from served(own_settings(engines, "ruled", queue=9, **scanner))


def url(cast: Cast) -> str:
    return f"/v1/tenants/{cast.acme.id}/scan-policy"


def test_by_default_files_that_could_not_be_scanned_are_quarantined(cast: Cast) -> None:
    assert cast.tina.api.get(url(cast)).get_json() == DEFAULTS


def test_admins_change_the_rules_and_the_page_shows_them(cast: Cast) -> None:
    changed = DEFAULTS | {"encrypted": "release", "two_persons": True}
    sent = {name: value for name, value in changed.items() if name != "pending"}
    assert cast.tina.api.put(url(cast), json=sent).get_json() == changed
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/scan-policy").text
    assert 'name="two_persons" value="yes" checked' in page
    assert "nobody else could confirm" in page
    form = dict.fromkeys(("too_large", "encrypted", "macros", "unscannable"), "hold") | {"scanner_required": "yes"}
    form["two_persons"] = "yes"
    cast.tina.browser.post(f"/t/{cast.acme.slug}/scan-policy", data=form)
    wanted = DEFAULTS | {"macros": "hold", "scanner_required": True, "two_persons": True}
    assert cast.tina.api.get(url(cast)).get_json() == wanted


@pytest.mark.parametrize("change", [{"macros": "keep"}, {"scanner_required": "yes"}, {"more": 1}])
def test_invalid_rules_are_refused(cast: Cast, change: dict[str, Any]) -> None:
    sent = {name: value for name, value in DEFAULTS.items() if name != "pending"}
    assert cast.tina.api.put(url(cast), json=sent | change).status_code == 422
    assert cast.tina.api.get(url(cast)).get_json() == DEFAULTS


def test_only_admins_of_this_tenant_set_rules(cast: Cast) -> None:
    for actor, status in ((cast.alice, 403), (cast.bob, 403), (cast.vera, 403), (cast.mallory, 404)):
        assert actor.api.get(url(cast)).status_code == status
        sent = {name: value for name, value in DEFAULTS.items() if name != "pending"}
        assert actor.api.put(url(cast), json=sent).status_code == status


@pytest.mark.parametrize(
    ("name", "content", "reason"), [("locked.zip", locked(), "encrypted"), ("large.txt", LARGE, "too_large")]
)
@pytest.mark.parametrize("choice", ["hold", "release"])
def test_a_file_that_could_not_be_scanned_is_quarantined_or_released_with_a_mark(
    scene: Scene, name: str, content: bytes, reason: str, choice: Any
) -> None:
    set_rules(scene.cast, **{reason: choice})
    sent = scene.alice.upload(name, content)
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert asset["scan"]["verdict"] == "not_scanned"
    if choice == "hold":
        assert (asset["status"], asset["reason"]["code"]) == ("quarantined", reason)
    else:
        assert (asset["status"], asset["reason"]) == ("available", None)
        assert asset["scan"]["reason"].startswith("Not scanned")


@pytest.mark.parametrize(("name", "make"), [("budget.xls", macros.old_office), ("letter.docx", macros.new_office)])
@pytest.mark.parametrize("choice", ["hold", "release"])
def test_macros_are_found_and_quarantined_or_released_as_the_tenant_chose(
    scene: Scene, name: str, make: Callable[[], bytes], choice: Any
) -> None:
    set_rules(scene.cast, macros=choice)
    sent = scene.alice.upload(name, make())
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert asset["scan"]["verdict"] == "clean"
    assert "macros" in asset["scan"]["reason"]
    assert asset["status"] == {"hold": "quarantined", "release": "available"}[choice]
    assert (asset["reason"] or {}).get("code") == {"hold": "macros", "release": None}[choice]


def test_a_file_with_a_virus_and_a_macro_is_infected(scene: Scene) -> None:
    sent = scene.alice.upload("budget.xls", macros.old_office(Other=EICAR))
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("quarantined", "infected")


def test_a_virus_is_quarantined_whatever_the_rules_say(scene: Scene) -> None:
    released = dict.fromkeys(("too_large", "encrypted", "macros", "unscannable"), "release")
    set_rules(scene.cast, **released)
    sent = scene.alice.upload("eicar.txt", EICAR)
    scene.site.run_jobs()
    assert scene.alice.asset(sent.asset_id)["status"] == "quarantined"


def test_where_a_scanner_is_required_files_wait_until_there_is_one(scene: Scene) -> None:
    settings = scene.site.app.extensions["portal.settings"]
    set_rules(scene.cast, scanner_required=True)
    scene.site.app.extensions["portal.settings"] = replace(settings, scanner_url="off")
    try:
        sent = scene.alice.upload("a.txt", b"hello\n")
        scene.site.run_jobs()
        asset = scene.alice.asset(sent.asset_id)
        assert (asset["status"], asset["waiting_for"]) == ("processing", "scanner")
        assert len(scene.objects()) == 1
    finally:
        scene.site.app.extensions["portal.settings"] = settings
        Scanner.at(settings)._report = None
    scene.site.make_due()
    scene.site.sweep()
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["scan"]["verdict"]) == ("available", "clean")


@pytest.mark.parametrize(
    ("name", "result", "reason"),
    [
        ("Heuristics.OLE2.ContainsMacros.VBA", "clean", "macros"),
        ("Heuristics.Encrypted.Zip", "not_scanned", "encrypted"),
        ("Heuristics.Encrypted.PDF", "not_scanned", "encrypted"),
        ("Heuristics.Limits.Exceeded.MaxFileSize", "not_scanned", "too_large"),
        ("Heuristics.Broken.Media.JPEG", "not_scanned", "unscannable"),
        ("Heuristics.Phishing.Email.SpoofedDomain", "infected", None),
        ("Doc.Downloader.Macro-1", "infected", None),
    ],
)
def test_heuristics_of_clamd_are_not_taken_for_a_virus(name: str, result: str, reason: str | None) -> None:
    verdict = verdict_of(name, READY, 100)
    assert (verdict.result, verdict.reason) == (result, reason)
    assert verdict.signature == (name if result == "infected" else None)
