"""One file's whole life, with every process of a deployment running and nobody helping."""

from __future__ import annotations

import io
import zipfile

from tests.support import pictures
from tests.support.api_client import done, refused
from tests.support.deployment import Live, eventually
from tests.support.engines import EICAR


def test_a_picture_from_upload_to_purge(live: Live) -> None:
    cast = live.cast()
    alice, vera = (live.client(cast, actor) for actor in (cast.alice, cast.vera))
    content = pictures.photo()
    sent = alice.upload("summer palace.jpg", content)
    asset = alice.wait(sent.asset_id)
    assert (asset["status"], asset["previews"], asset["scan"]["verdict"]) == ("available", "ready", "clean")
    assert {variant["name"] for variant in asset["variants"]} == {"thumb", "small", "medium", "large", "web"}
    for variant in asset["variants"]:
        answer = alice.store.get(variant["url"])
        assert (answer.status_code, len(answer.content)) == (200, variant["size_bytes"])
    assert vera.download(sent.asset_id).content == content
    listed = done(vera.call("GET", "assets?q=palace"))["items"]
    assert [item["asset_id"] for item in listed] == [sent.asset_id]
    live.sound(cast, alice, sent)

    assert alice.call("DELETE", f"assets/{sent.asset_id}").status_code == 204
    assert alice.asset(sent.asset_id)["status"] == "deleted"
    assert alice.quota() == (len(content), 0)
    refused(alice.download(sent.asset_id), 409, "conflict")
    assert done(alice.call("POST", f"assets/{sent.asset_id}/restore"))["status"] == "available"
    assert alice.download(sent.asset_id).content == content

    assert alice.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
    eventually(lambda: alice.call("GET", f"assets/{sent.asset_id}").status_code == 404)
    assert alice.quota() == (0, 0)
    assert live.objects(cast) == set()
    assert live.broken(cast.acme.id) == []


def test_files_of_every_kind_beside_each_other(live: Live) -> None:
    cast = live.cast()
    alice = live.client(cast, cast.alice)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as inside:
        inside.writestr("virus.com", EICAR)
    files = {
        "a.png": (pictures.png_alpha(), "available", "ready"),
        "b.gif": (pictures.gif_animated(), "available", "ready"),
        "c.pdf": (pictures.pdf(), "available", "ready"),
        "d.zip": (pictures.zip_archive(), "available", "none"),
        "e.jpg": (pictures.zip_archive(), "failed", "none"),
        "f.zip": (archive.getvalue(), "quarantined", "none"),
        "g.jpg": (pictures.jpeg_truncated(), "available", "failed"),
        "h.txt": (b"plain words", "available", "none"),
    }
    items = [
        {"file_name": name, "mime_type": "application/octet-stream", "size_bytes": len(content)}
        for name, (content, _, _) in files.items()
    ]
    begun = done(alice.call("POST", "uploads/batch", {"items": items}))["items"]
    found = {}
    for each, (name, (content, _, _)) in zip(begun, files.items(), strict=True):
        assert alice.send(each, content).status_code in (200, 201, 204)
        found[name] = done(alice.commit(each["upload_id"]))["asset_id"]
    for name, (_, status, previews) in files.items():
        asset = alice.wait(found[name])
        assert (asset["status"], asset["previews"]) == (status, previews), name
    kept = sum(len(content) for content, status, _ in files.values() if status != "failed")
    assert alice.quota() == (kept, 0)
    live.forms_run_out()
    assert live.objects(cast) == live.expected_objects(cast)
    assert live.broken(cast.acme.id) == []
