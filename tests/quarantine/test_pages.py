"""The quarantine pages: all facts, decisions in two steps with real numbers, and conflicts that are explained."""

from __future__ import annotations

from uuid import UUID

import pytest

from portal.assets import jobs as asset_jobs
from tests.support.engines import EICAR, SIGNATURE
from tests.support.factories import read_asset
from tests.support.people import Cast
from tests.support.quarantine import CLEAN, WHY, decide, infected, make_admin, quarantined, run_job, set_rules


def page(cast: Cast, path: str = "") -> str:
    return f"/t/{cast.acme.slug}/quarantine{path}"


def post(cast: Cast, path: str, action: str, *asset_ids: UUID, **more: str) -> str:
    form = {"decision": action, "id": [str(each) for each in asset_ids], **more}
    return cast.tina.browser.post(page(cast, path), data=form, follow_redirects=True).text


def test_the_list_shows_reason_workspace_and_uploader_and_can_be_filtered(cast: Cast) -> None:
    infected(cast, file_name="virus.txt")
    quarantined(cast, b"another", file_name="locked.txt")
    everything = cast.tina.browser.get(page(cast)).text
    assert "2 files" in everything
    for text in ("virus.txt", "locked.txt", "Virus found", "Encrypted", "Alice", "Press"):
        assert text in everything
    for query, shown, hidden in [
        ("?reason=infected", "virus.txt", "locked.txt"),
        ("?reason=encrypted", "locked.txt", "virus.txt"),
        ("?q=eicar-test", "virus.txt", "locked.txt"),
        (f"?person_id={cast.alice.id}&q=locked", "locked.txt", "virus.txt"),
    ]:
        found = cast.tina.browser.get(page(cast, query)).text
        assert shown in found and hidden not in found, query
    assert "No file matches" in cast.tina.browser.get(page(cast, f"?person_id={cast.bob.id}")).text
    assert cast.tina.browser.get(page(cast, "?reason=nonsense")).status_code == 422


def test_the_page_of_a_file_has_every_fact_and_no_content(cast: Cast) -> None:
    asset_id = infected(cast, EICAR, file_name="<i>x.txt", scan_engine="ClamAV 1.4.6", scan_database="27817/Mon")
    quarantined(cast, EICAR, file_name="copy.txt")
    shown = cast.tina.browser.get(page(cast, f"/{asset_id}")).text
    asset = read_asset(cast, asset_id)
    for text in (
        "&lt;i&gt;x.txt",
        asset.sha256 or "",
        "ClamAV 1.4.6",
        "27817/Mon",
        "text/plain",
        "Alice",
        "1 file in quarantine",
    ):
        assert text in shown, text
    assert "2 quarantined, 0 rejected (100%)" in shown
    assert EICAR.decode() not in shown
    assert "X-Amz-Signature" not in shown
    assert f"{asset_id}/original" not in shown


def test_the_question_has_real_numbers_and_several_files_are_decided_at_once(cast: Cast) -> None:
    first, second = quarantined(cast), quarantined(cast)
    question = post(cast, "/review", "delete", first, second)
    assert f"Delete 2 files, {2 * len(CLEAN)} bytes?" in question
    assert "Choose at least one" in post(cast, "/review", "delete")
    answer = post(cast, "/decide", "delete", first, second, reason=WHY)
    assert "Done for 2 files." in answer
    assert "The quarantine is empty" in answer


@pytest.mark.parametrize("reason", ["", "x" * 10_000])
def test_without_a_good_reason_the_question_is_asked_again_with_what_was_typed(cast: Cast, reason: str) -> None:
    asset_id = quarantined(cast)
    form = {"decision": "delete", "id": [str(asset_id)], "reason": reason}
    answer = cast.tina.browser.post(page(cast, "/decide"), data=form)
    assert answer.status_code == 422
    assert "Give a reason of 3 to 1000 characters" in answer.text
    assert reason in answer.text
    assert read_asset(cast, asset_id).quarantine_order is None


def test_a_file_that_left_while_its_page_was_open_is_reported_and_the_list_is_up_to_date(cast: Cast) -> None:
    other = make_admin(cast, cast.bob)
    gone, stays = quarantined(cast, file_name="gone.txt"), quarantined(cast, file_name="stays.txt")
    decide(cast, other.api, gone, "delete", "Nobody needs it.")
    assert "1 of the chosen files is not in quarantine any more" in post(cast, "/review", "delete", gone, stays)
    answer = post(cast, "/decide", "release", gone, reason=WHY)
    assert "Bob deleted it: Nobody needs it." in answer
    assert "stays.txt" in answer and "gone.txt" not in answer
    with cast.app.app_context():
        asset_jobs.purge(str(cast.acme.id), str(cast.press.id), str(gone))
    past = cast.tina.browser.get(page(cast, f"/{gone}"))
    assert past.status_code == 200
    assert "Not in quarantine any more" in past.text and "Nobody needs it." in past.text


def test_a_release_that_finds_a_virus_is_explained_on_the_page_of_the_file(cast: Cast) -> None:
    asset_id = quarantined(cast, EICAR)
    assert "scanned once more" in post(cast, "/decide", "release", asset_id, reason=WHY)
    assert "Being released" in cast.tina.browser.get(page(cast, f"/{asset_id}")).text
    run_job(cast, "release", asset_id)
    shown = cast.tina.browser.get(page(cast, f"/{asset_id}")).text
    assert "Not released: a virus was found" in shown and SIGNATURE in shown


def test_infected_files_are_released_only_where_the_rules_allow_it(cast: Cast) -> None:
    asset_id = infected(cast, EICAR)
    refused = post(cast, "/review", "release", asset_id)
    assert "do not allow its release" in refused and f'href="/t/{cast.acme.slug}/scan-policy"' in refused
    assert 'name="reason"' not in refused  # nothing to fill in for what the rules refuse
    beside = quarantined(cast)
    assert 'name="reason"' in post(cast, "/review", "release", asset_id, beside)
    assert "do not allow infected files to be released" in post(cast, "/decide", "release", asset_id, reason=WHY)
    set_rules(cast, release_infected=True)
    assert 'name="infected_too"' in post(cast, "/review", "release", asset_id)
    assert "Confirm explicitly" in post(cast, "/decide", "release", asset_id, reason=WHY)
    done = post(cast, "/decide", "release", asset_id, reason=WHY, infected_too="yes")
    assert "scanned once more" in done


def test_only_admins_of_the_tenant_can_open_the_pages(cast: Cast) -> None:
    asset_id = quarantined(cast)
    form = {"decision": "delete", "id": [str(asset_id)], "reason": WHY}
    paths = (f"/{asset_id}", f"/{asset_id}/download")
    for actor, status in ((cast.vera, 403), (cast.bob, 403), (cast.alice, 403), (cast.mallory, 404)):
        for path in paths:
            assert actor.browser.get(page(cast, path)).status_code == status
        for path in ("/review", "/decide", f"/{asset_id}/unlock", f"/{asset_id}/download"):
            assert actor.browser.post(page(cast, path), data=form).status_code == status
        assert actor.browser.get(f"/t/{cast.acme.slug}/scan-policy").status_code == status
        assert actor.browser.post(f"/t/{cast.acme.slug}/scan-policy").status_code == status
    theirs = f"/t/{cast.evil.slug}/quarantine/{asset_id}"
    assert cast.mallory.browser.get(theirs).status_code == 404
    assert read_asset(cast, asset_id).quarantine_order is None
