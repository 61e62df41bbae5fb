"""The tray lists uploads in parts that were interrupted, as long as nobody sends or discards them."""

from __future__ import annotations

from portal.uploads.part_plan import MB
from tests.support.api_client import ApiClient, done
from tests.support.client import Scene


def begin(client: ApiClient, name: str, *, signed: bool = True) -> str:
    """The id of an upload in parts, of which a part is signed or not."""
    upload = done(client.begin(name, 120 * MB, resumable_protocol="s3_multipart"), 201)
    if signed:
        done(client.call("POST", f"uploads/{upload['upload_id']}/parts", {"part_numbers": [1]}))
    return str(upload["upload_id"])


def test_only_ones_own_uploads_of_which_parts_were_signed_are_listed(scene: Scene) -> None:
    mine = begin(scene.alice, "mine.mp4")
    begin(scene.alice, "not sent.mp4", signed=False)
    begin(scene.bob, "of bob.mp4")
    page = scene.cast.alice.browser.get(scene.cast.page("uploads/interrupted")).text
    assert "1 upload was interrupted. Continue?" in page
    assert f'data-interrupted="{mine}"' in page and "mine.mp4" in page and "120 MB" in page
    assert "not sent" not in page and "of bob" not in page


def test_what_a_tab_of_this_browser_sends_is_not_listed(scene: Scene) -> None:
    sent, other = begin(scene.alice, "sent.mp4"), begin(scene.alice, "other.mp4")
    browser, path = scene.cast.alice.browser, scene.cast.page("uploads/interrupted")
    page = browser.get(f"{path}?sending={sent}&sending=nonsense").text
    assert "sent.mp4" not in page and "other.mp4" in page
    assert browser.get(f"{path}?sending={sent}&sending={other}").text.strip() == ""


def test_discarding_one_cancels_it_and_lists_the_others(scene: Scene) -> None:
    gone, left, sent = (begin(scene.alice, f"{name}.mp4") for name in ("gone", "left", "sent"))
    answer = scene.cast.alice.browser.post(scene.cast.page(f"uploads/{gone}/discard"), data={"sending": sent})
    assert answer.status_code == 200
    assert "left.mp4" in answer.text and "gone.mp4" not in answer.text and "sent.mp4" not in answer.text
    assert done(scene.alice.call("GET", f"uploads/{gone}"))["state"] == "aborted"
    assert done(scene.alice.call("GET", f"uploads/{left}"))["state"] == "uploading"


def test_nobody_discards_the_upload_of_somebody_else(scene: Scene) -> None:
    upload = begin(scene.alice, "mine.mp4")
    assert scene.cast.bob.browser.post(scene.cast.page(f"uploads/{upload}/discard")).status_code == 404
    assert done(scene.alice.call("GET", f"uploads/{upload}"))["state"] == "uploading"
