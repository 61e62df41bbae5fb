"""The main road on a bucket of the customer's own, from the form that connects it to the way back."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from playwright.sync_api import Page, expect

from portal.assets.models import Asset
from portal.database import transaction
from portal.migration.models import Move
from portal.objectstore.errors import UNREACHABLE
from portal.storage.service import managed_bucket
from tests.browser.conftest import Portal, Visits
from tests.browser.test_accessibility import EXAMINED, Examination
from tests.browser.test_gallery import drawn
from tests.browser.test_upload import drag, tile
from tests.support.api_client import ApiClient, done
from tests.support.deployment import eventually
from tests.support.engines import CUSTOMER
from tests.support.own_buckets import client_of, connect_own_bucket, make_bucket
from tests.support.people import Actor, Cast
from tests.support.pictures import photo

Client = Callable[[Actor], ApiClient]
SLOW = {"bytes_per_second": 64 * 1024}


def managed(alice: ApiClient) -> str:
    """The id of the workspace's managed storage."""
    found = done(alice.call("GET", "storage-profiles"))["items"]
    return next(str(profile["id"]) for profile in found if profile["mode"] == "managed_r2")


def say_yes(page: Page) -> None:
    """Agree to what the dialog asks."""
    page.locator("#confirm-yes").click()


def connect(page: Page, portal: Portal, bucket: str) -> None:
    """From the storage page to a bucket that is tested and takes the new files."""
    page.get_by_role("link", name="Connect a bucket").click()
    page.get_by_role("link", name="SeaweedFS").click()
    for label, value in {
        "Bucket": bucket,
        "Endpoint": portal.engines.settings().s3_endpoint,
        "Access key ID": CUSTOMER.access_key_id,
        "Secret access key": CUSTOMER.secret_access_key,
        "Prefix": "stowage/press",
    }.items():
        page.get_by_label(label, exact=True).fill(value)
    page.get_by_role("button", name="Connect and test").click()
    expect(page.locator(".probe-pass").first).to_be_visible()
    expect(page.locator("#probe[hx-get]")).to_have_count(0)  # it has ended, and asks no more
    expect(page.locator(".probe-fail")).to_have_count(0)
    page.reload()
    page.get_by_role("button", name="Send new files here").click()
    say_yes(page)
    expect(page.locator(".page-sub .state")).to_have_text(["Works", "New files go here"])


def test_a_bucket_is_connected_used_and_left_again(
    visit: Visits, cast: Cast, portal: Portal, files: Path, client: Client
) -> None:
    bucket = make_bucket(portal.app.extensions["portal.settings"])
    page = visit(cast.alice, cast.page("storage"))
    connect(page, portal, bucket)

    page.get_by_role("link", name="All files").click()
    expect(page.locator(".teach")).to_be_visible()
    drag(page, files / "cat.jpg")
    expect(tile(page, "cat.jpg")).to_contain_text("Ready")
    drawn(page)
    source = tile(page, "cat.jpg").locator(".picture-img").evaluate("image => image.currentSrc")
    assert f"/{bucket}/stowage/press/" in source
    tile(page, "cat.jpg").locator(".tile-link").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile("^Download")).first.click()
    assert download.value.path().read_bytes() == photo("cat")

    page.get_by_role("link", name="Storage", exact=True).click()
    page.get_by_role("table").get_by_role("link").last.click()
    page.get_by_role("link", name="Move files here").click()
    expect(page.locator(".page-sub")).to_contain_text("1 file")
    page.get_by_role("button", name="Start the move").click()
    expect(page.get_by_role("heading", name="All files are copied and verified")).to_be_visible()
    expect(page.get_by_role("definition").first).to_have_text("1 of 1")
    page.get_by_role("button", name="Remove the old copies").click()
    say_yes(page)
    expect(page.get_by_role("heading", name="Done", exact=True)).to_be_visible()
    listed = client_of(portal.app.extensions["portal.settings"], CUSTOMER).list_objects_v2(Bucket=bucket)
    assert [entry["Key"] for entry in listed["Contents"]] == ["stowage/press/.stowage/owner.json"]
    page.get_by_role("link", name="All files").click()
    drawn(page)
    source = tile(page, "cat.jpg").locator(".picture-img").evaluate("image => image.currentSrc")
    assert bucket not in source


def test_the_page_of_a_move_leaves_people_in_peace_while_it_renews_itself(
    visit: Visits, cast: Cast, client: Client
) -> None:
    alice = client(cast.alice)
    alice.wait(alice.upload("large.txt", b"These are words.\n" * 150_000).asset_id)
    own = connect_own_bucket(cast, activate=False)
    move = done(alice.call("POST", "storage-moves", {"target_id": str(own.id), **SLOW}), 201)
    page = visit(cast.alice, cast.page("storage"))
    page.get_by_role("link", name="Open the move").click()
    expect(page.locator("#move-state")).to_have_text(re.compile(r"Moving, \d+%"))

    speed = page.get_by_label("Speed limit in MB per second")
    speed.fill("0.1")
    renewed(page)
    expect(speed).to_have_value("0.1")
    expect(speed).to_be_focused()
    expect(page.locator("#said")).to_have_text("")

    page.get_by_role("button", name="Move everything back").click()
    page.wait_for_timeout(4000)  # more than one renewal, which must leave the question alone
    say_yes(page)
    expect(page.get_by_role("heading", name=re.compile("^Back to"))).to_be_visible()
    eventually(lambda: done(alice.call("GET", f"storage-moves/{move['id']}"))["state"] == "copied")
    expect(page.locator("#said")).to_have_text("All files are copied and verified")


def renewed(page: Page) -> None:
    """Wait until the page of a move has asked for itself again."""
    with page.expect_response(re.compile("storage/moves/.*seen=")):
        pass
    page.wait_for_timeout(300)


def test_storage_and_moves_can_be_used_by_everybody(visit: Visits, cast: Cast, client: Client) -> None:
    examination = Examination()
    alice = client(cast.alice)
    lost = alice.upload("lost.txt", b"These are words.\n" * 100)
    alice.wait(alice.upload("large.txt", b"These are words.\n" * 240_000).asset_id)
    alice.wait(lost.asset_id)
    lose(cast, lost.asset_id)
    own = connect_own_bucket(cast, activate=False)
    page = visit(cast.alice, cast.page("storage"), **EXAMINED)

    def look(name: str, path: str | None = None) -> None:
        if path is not None:
            page.goto(cast.page(path))
        examination.look_at(page, name)
        keep(page, name)

    look("storage", "storage")
    look("connect", "storage/new?preset=seaweedfs")
    look("bucket", f"storage/{own.id}")
    look("no moves", "storage/moves")
    look("plan", f"storage/moves/to/{own.id}")
    move = done(alice.call("POST", "storage-moves", {"target_id": str(own.id), **SLOW}), 201)
    here = f"storage/moves/{move['id']}"
    look("moving", here)
    waits(cast, move["id"])
    look("waiting", here)
    done(alice.call("POST", f"storage-moves/{move['id']}/pause"))
    look("paused", here)
    done(alice.call("POST", f"storage-moves/{move['id']}/resume"))
    look("storage while files move", "storage")
    done(alice.call("PATCH", f"storage-moves/{move['id']}", {"bytes_per_second": None}))
    eventually(lambda: done(alice.call("GET", f"storage-moves/{move['id']}"))["state"] == "copied")
    look("copied", here)
    done(alice.call("POST", f"storage-moves/{move['id']}/confirm"))
    eventually(lambda: done(alice.call("GET", f"storage-moves/{move['id']}"))["state"] == "done")
    look("done", here)
    look("moves", "storage/moves")
    assert examination.found == {}


def lose(cast: Cast, asset_id: str) -> None:
    """Remove a file's object past every rule."""
    with cast.app.app_context(), transaction(cast.press.tenant_id) as session:
        key = session.get_one(Asset, UUID(asset_id)).object_key or ""
    with cast.app.app_context():
        managed_bucket().delete(key)


def waits(cast: Cast, move_id: str) -> None:
    """Set a move that waits for an unavailable store."""
    with cast.app.app_context(), transaction(cast.press.tenant_id) as session:
        session.get_one(Move, UUID(move_id)).waiting_for = UNREACHABLE


def keep(page: Page, name: str) -> None:
    """Pictures for somebody's eyes, where ``STOWAGE_SHOTS`` names a folder."""
    folder = os.environ.get("STOWAGE_SHOTS")
    for width, scheme in ((1440, "light"), (1440, "dark"), (390, "light")) if folder else ():
        page.set_viewport_size({"width": width, "height": 900})
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        page.wait_for_timeout(150)
        page.screenshot(path=f"{folder}/{name}-{width}-{scheme}.png".replace(" ", "-"))
