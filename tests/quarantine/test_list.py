"""The list of quarantined files: what admins of a tenant see, and what nobody sees."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from portal.assets.models import AssetState, PreviewState, ScanResult
from portal.database import enter, now, transaction
from portal.quarantine import service as quarantine
from portal.texts import Text
from portal.uploads.models import Upload, UploadState
from tests.support.factories import PIXEL, make_asset, read_asset
from tests.support.people import Cast

FIELDS = {
    "asset_id",
    "workspace_id",
    "file_name",
    "size_bytes",
    "sha256",
    "declared_type",
    "found_type",
    "reason",
    "signature",
    "engine",
    "database",
    "uploaded_by",
    "quarantined_at",
    "deadline",
}


def _quarantine(cast: Cast, file_name: str = "invoice.pdf", **values: Any) -> UUID:
    infected: dict[str, Any] = {
        "state": AssetState.QUARANTINED,
        "previews": PreviewState.NONE,
        "scan_result": ScanResult.INFECTED,
        "scan_signature": "Eicar-Test-Signature",
        "scan_engine": "ClamAV 1.4.3",
        "scan_database": "test",
        "found_type": "text/plain",
        "reason_code": "infected",
        "reason_detail": Text("A virus was found: Eicar-Test-Signature."),
        "quarantined_at": now() - timedelta(days=1),
    }
    return make_asset(cast, file_name, **infected, **values)


def _declare(cast: Cast, asset_id: UUID, declared_type: str) -> None:
    """Add the upload that the file came from."""
    asset = read_asset(cast, asset_id)
    shared = ("tenant_id", "workspace_id", "library_id", "profile_id", "file_name", "kind", "size_bytes")
    values: dict[str, Any] = {name: getattr(asset, name) for name in shared}
    values |= {"user_id": asset.created_by, "declared_type": declared_type, "signed_type": asset.mime_type}
    values |= {"state": UploadState.COMMITTED, "method": "POST", "reserved_bytes": 0}
    with cast.app.app_context(), transaction(cast.acme.id) as session:
        session.add(Upload(id=asset.upload_id, asset_id=asset_id, expires_at=now(), form_expires_at=now(), **values))


def test_an_admin_sees_everything_but_the_content(cast: Cast) -> None:
    make_asset(cast)
    asset_id = _quarantine(cast)
    _declare(cast, asset_id, "application/x-declared")
    answer = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine")
    assert answer.status_code == 200, answer.text
    (item,) = answer.get_json()["items"]
    assert item.keys() == FIELDS
    assert (item["asset_id"], item["workspace_id"]) == (str(asset_id), str(cast.press.id))
    assert (item["file_name"], item["size_bytes"], item["sha256"]) == ("invoice.pdf", len(PIXEL), "ab" * 32)
    assert (item["declared_type"], item["found_type"]) == ("application/x-declared", "text/plain")
    assert (item["signature"], item["engine"], item["database"]) == ("Eicar-Test-Signature", "ClamAV 1.4.3", "test")
    assert (item["uploaded_by"], item["reason"]) == (str(cast.alice.id), "A virus was found: Eicar-Test-Signature.")
    assert item["deadline"] > item["quarantined_at"]
    assert "X-Amz-Signature" not in answer.text


def test_the_list_is_paged_without_gaps(cast: Cast) -> None:
    quarantined = [str(_quarantine(cast, f"{number}.txt")) for number in range(5)]
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine?limit=2&cursor={cursor}").get_json()
        found += [item["asset_id"] for item in page["items"]]
        cursor = page["next_cursor"]
    assert found == quarantined[::-1]


def test_only_admins_of_this_tenant_see_it(cast: Cast) -> None:
    _quarantine(cast)
    url = f"/v1/tenants/{cast.acme.id}/quarantine"
    for actor in (cast.alice, cast.bob, cast.vera):
        assert actor.api.get(url).status_code == 403
        assert actor.browser.get(f"/t/{cast.acme.slug}/quarantine").status_code == 403
    assert cast.mallory.api.get(url).status_code == 404
    assert cast.nobody.get(url).status_code == 401
    assert cast.mallory.api.get(f"/v1/tenants/{cast.evil.id}/quarantine").get_json()["items"] == []


def test_the_page_shows_what_and_who_and_no_link_to_the_content(cast: Cast) -> None:
    empty = cast.tina.browser.get(f"/t/{cast.acme.slug}/quarantine")
    assert "The quarantine is empty" in empty.text
    asset_id = _quarantine(cast, "<b>invoice.txt")
    page = cast.tina.browser.get(f"/t/{cast.acme.slug}/quarantine")
    assert page.status_code == 200
    for text in ("Eicar-Test-Signature", "ClamAV 1.4.3", "Press", "Alice", "&lt;b&gt;invoice.txt", "ab" * 32):
        assert text in page.text
    assert "X-Amz-Signature" not in page.text
    assert f"{asset_id}/download" not in page.text


def test_htmx_gets_the_next_rows_without_the_page(cast: Cast) -> None:
    for number in range(3):
        _quarantine(cast, f"file-{number}.txt")
    address = f"/t/{cast.acme.slug}/quarantine?limit=2"
    cursor = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/quarantine?limit=2").get_json()["next_cursor"]
    rest = cast.tina.browser.get(f"{address}&cursor={cursor}", headers={"HX-Request": "true"})
    assert "file-0.txt" in rest.text
    assert "file-1.txt" not in rest.text
    assert "<html" not in rest.text
    assert "<html" in cast.tina.browser.get(f"{address}&cursor={cursor}").text


def test_the_number_in_the_menu_counts_quarantined_files(cast: Cast) -> None:
    _quarantine(cast)
    _quarantine(cast)
    with cast.app.app_context():
        enter(cast.acme.id)
        assert quarantine.count_quarantined(cast.acme.id) == 2
        enter(cast.evil.id)
        assert quarantine.count_quarantined(cast.acme.id) == 0


def test_no_answer_of_the_api_has_a_link_to_quarantined_content(cast: Cast) -> None:
    asset_id = _quarantine(cast)
    for actor in (cast.alice, cast.tina):
        for path in (f"assets/{asset_id}", f"assets/{asset_id}/download", "assets"):
            answer = actor.api.get(cast.url(path))
            assert "X-Amz-Signature" not in answer.text + answer.headers.get("Location", "")
