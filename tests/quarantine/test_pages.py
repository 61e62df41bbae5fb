"""The pages of the desk: all the facts, decisions in two steps with real numbers, told when somebody was faster."""

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


def post(cast: Cast, path: str, deed: str, *asset_ids: UUID, **more: str) -> str:
    form = {"deed": deed, "id": [str(each) for each in asset_ids], **more}
    return cast.tina.browser.post(page(cast, path), data=form, follow_redirects=True).text


def test_the_desk_tells_why_where_and_by_whom_and_narrows_down(cast: Cast) -> None:
    infected(cast, file_name="virus.txt")
    quarantined(cast, b"another", file_name="locked.txt")
    everything = cast.tina.browser.get(page(cast)).text
    assert "2 files" in everything
    for words in ("virus.txt", "locked.txt", "Virus found", "Encrypted", "Alice", "Press"):
        assert words in everything
    for query, shown, hidden in [
        ("?reason=infected", "virus.txt", "locked.txt"),
        ("?reason=encrypted", "locked.txt", "virus.txt"),
        ("?q=eicar-test", "virus.txt", "locked.txt"),
        (f"?person_id={cast.alice.id}&q=locked", "locked.txt", "virus.txt"),
    ]:
        found = cast.tina.browser.get(page(cast, query)).text
        assert shown in found and hidden not in found, query
    assert "Nothing fits" in cast.tina.browser.get(page(cast, f"?person_id={cast.bob.id}")).text
    assert cast.tina.browser.get(page(cast, "?reason=nonsense")).status_code == 422


def test_a_files_page_has_every_fact_and_no_content(cast: Cast) -> None:
    asset_id = infected(cast, EICAR, file_name="<i>x.txt", scan_engine="ClamAV 1.4.6", scan_database="27817/Mon")
    quarantined(cast, EICAR, file_name="copy.txt")
    shown = cast.tina.browser.get(page(cast, f"/{asset_id}")).text
    asset = read_asset(cast, asset_id)
    for words in (
        "&lt;i&gt;x.txt",
        asset.sha256 or "",
        "ClamAV 1.4.6",
        "27817/Mon",
        "text/plain",
        "Alice",
        "1 file in quarantine",
    ):
        assert words in shown, words
    assert "2 quarantined, 0 rejected (100 %)" in shown
    assert EICAR.decode() not in shown
    assert "X-Amz-Signature" not in shown
    assert f"{asset_id}/original" not in shown


def test_the_question_has_real_numbers_and_several_are_decided_at_once(cast: Cast) -> None:
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
    form = {"deed": "delete", "id": [str(asset_id)], "reason": reason}
    answer = cast.tina.browser.post(page(cast, "/decide"), data=form)
    assert answer.status_code == 422
    assert "Give a reason of 3 to 1000 characters" in answer.text
    assert reason in answer.text
    assert read_asset(cast, asset_id).quarantine_order is None


def test_an_item_that_left_while_its_page_was_open_is_told_and_the_list_is_fresh(cast: Cast) -> None:
    other = make_admin(cast, cast.bob)
    gone, stays = quarantined(cast, file_name="gone.txt"), quarantined(cast, file_name="stays.txt")
    decide(cast, other.api, gone, "delete", "It is of no use.")
    assert "1 of the chosen files is not in quarantine any more" in post(cast, "/review", "delete", gone, stays)
    answer = post(cast, "/decide", "release", gone, reason=WHY)
    assert "Bob deleted it: It is of no use." in answer
    assert "stays.txt" in answer and "gone.txt" not in answer
    with cast.app.app_context():
        asset_jobs.purge(str(cast.acme.id), str(cast.press.id), str(gone))
    past = cast.tina.browser.get(page(cast, f"/{gone}"))
    assert past.status_code == 200
    assert "Not in quarantine any more" in past.text and "It is of no use." in past.text


def test_a_release_that_the_scanner_stops_is_explained_on_the_files_page(cast: Cast) -> None:
    asset_id = quarantined(cast, EICAR)
    assert "scanned once more" in post(cast, "/decide", "release", asset_id, reason=WHY)
    assert "Being released" in cast.tina.browser.get(page(cast, f"/{asset_id}")).text
    run_job(cast, "release", asset_id)
    shown = cast.tina.browser.get(page(cast, f"/{asset_id}")).text
    assert "Not released: a virus was found" in shown and SIGNATURE in shown


def test_infected_files_are_released_only_where_the_rules_say_so(cast: Cast) -> None:
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


def test_only_admins_of_the_tenant_come_here(cast: Cast) -> None:
    asset_id = quarantined(cast)
    form = {"deed": "delete", "id": [str(asset_id)], "reason": WHY}
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
