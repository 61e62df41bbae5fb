"""What the look at the bytes decides: refused for good, held, or available; and what each leaves behind."""

from __future__ import annotations

import hashlib
import io
import zipfile
from uuid import UUID

import pytest

from portal.objectstore import keys
from tests.support import pictures, specimens
from tests.support.api_client import done, refused
from tests.support.client import Scene
from tests.support.engines import EICAR, SIGNATURE


def infected_zip() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "harmless")
        archive.writestr("inside/eicar.com", EICAR)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("photo.jpg", pictures.zip_archive()),
        ("photo.jpg", specimens.HTML),
        ("photo.jpg", b"plain text, no picture"),
        ("photo.png", pictures.exif_orientation(1)),
        ("doc.pdf", specimens.WINDOWS_PROGRAM),
        ("notes.txt", specimens.WINDOWS_PROGRAM),
        ("a.zip", b"not an archive at all"),
        ("a.svg", specimens.HTML),
    ],
)
def test_content_that_contradicts_its_name_is_refused_for_good(scene: Scene, name: str, content: bytes) -> None:
    sent = scene.alice.upload(name, content)
    scene.site.run_jobs()
    asset, upload = scene.alice.asset(sent.asset_id), scene.alice.upload_state(sent.upload_id)
    assert (asset["status"], upload["state"]) == ("failed", "failed")
    assert asset["reason"] == upload["reason"]
    assert asset["reason"]["code"] == "content_mismatch"
    assert asset["reason"]["detail"].startswith("Not ")
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)
    assert scene.site.ledger(sent.upload_id) == ["reserve", "release"]
    assert "was rejected" in refused(scene.alice.download(sent.asset_id), 409, "conflict")["detail"]
    assert done(scene.alice.commit(sent.upload_id))["status"] == "failed"
    assert scene.site.broken(scene.cast) == []


def test_a_rejected_file_can_be_moved_to_the_trash(scene: Scene) -> None:
    sent = scene.alice.upload("photo.jpg", specimens.HTML)
    scene.site.run_jobs()
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}").status_code == 204
    done(scene.alice.call("POST", f"assets/{sent.asset_id}/restore"))
    assert scene.alice.asset(sent.asset_id)["status"] == "failed"
    assert scene.alice.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
    scene.site.run_jobs()
    assert scene.alice.call("GET", f"assets/{sent.asset_id}").status_code == 404
    refused(scene.alice.commit(sent.upload_id), 404, "not_found")
    assert scene.alice.quota() == (0, 0)
    assert scene.site.broken(scene.cast) == []


def test_a_wrong_digest_that_the_store_accepted_is_found_by_reading(scene: Scene, text: bytes) -> None:
    begun = done(scene.alice.begin("a.txt", len(text), sha256=hashlib.sha256(text).hexdigest()), 201)
    scene.site.put(scene.staging_key(begun, "a.txt"), text[::-1])
    committed = done(scene.alice.commit(begun["upload_id"]))
    scene.site.run_jobs()
    asset = scene.alice.asset(committed["asset_id"])
    assert (asset["status"], asset["reason"]["code"]) == ("failed", "checksum_mismatch")
    assert scene.alice.upload_state(begun["upload_id"])["reason"] == asset["reason"]
    assert scene.objects() == []
    assert scene.alice.quota() == (0, 0)


def test_a_file_deleted_after_its_commit_is_rejected_with_that_reason(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.root.delete_object(Bucket=scene.site.settings.s3_bucket, Key=scene.staging_key(sent.begun, "a.txt"))
    scene.site.run_jobs()
    assert scene.alice.asset(sent.asset_id)["reason"]["code"] == "upload_missing"
    assert scene.alice.quota() == (0, 0)


@pytest.mark.parametrize(("name", "content"), [("eicar.txt", EICAR), ("bundle.zip", infected_zip())])
def test_an_infected_file_is_quarantined(scene: Scene, name: str, content: bytes) -> None:
    sent = scene.alice.upload(name, content)
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["reason"]["code"]) == ("quarantined", "infected")
    scan = asset["scan"]
    assert scan["verdict"] == "infected"
    assert SIGNATURE in scan["signature"]
    assert scan["engine"].startswith("ClamAV")
    assert asset["previews"] == "none"
    held = keys.quarantine_prefix(scene.cast.press.id, UUID(sent.asset_id))
    assert [key.startswith(held) for key in scene.objects()] == [True]
    refused(scene.alice.download(sent.asset_id), 409, "held")
    refused(scene.alice.call("DELETE", f"assets/{sent.asset_id}"), 409, "held")
    refused(scene.alice.call("DELETE", f"assets/{sent.asset_id}?permanent=true"), 409, "held")
    assert scene.alice.upload_state(sent.upload_id)["state"] == "committed"
    assert scene.alice.quota() == (len(content), 0)
    actions = scene.site.sql("SELECT action FROM audit_events WHERE target_id = %s", UUID(sent.asset_id))
    assert ("asset.quarantined",) in actions
    assert scene.site.broken(scene.cast) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("cut.jpg", pictures.jpeg_truncated()),
        ("bomb.png", pictures.bomb_169()),
        ("html.jpg", pictures.jpeg_with_html()),
    ],
    ids=["truncated", "bomb", "html behind a jpeg header"],
)
def test_a_failed_preview_is_not_a_failed_file(scene: Scene, name: str, content: bytes) -> None:
    sent = scene.alice.upload(name, content)
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["previews"], asset["variants"]) == ("available", "failed", [])
    assert asset["preview_reason"]["detail"]
    assert scene.alice.download(sent.asset_id).content == content


def test_an_svg_with_a_script_is_kept_and_never_shown_inline(scene: Scene) -> None:
    sent = scene.alice.upload("logo.svg", pictures.svg_with_script())
    scene.site.run_jobs()
    asset = scene.alice.asset(sent.asset_id)
    assert (asset["status"], asset["previews"]) == ("available", "none")
    assert scene.alice.download(sent.asset_id).headers["Content-Disposition"].startswith("attachment")
