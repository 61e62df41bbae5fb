"""Lists of assets: filters, search, paging, and who may see them."""

from __future__ import annotations

from uuid import UUID, uuid4

import pytest
from sqlalchemy import func, select

from portal.assets.models import AssetState, PreviewState, ScanResult
from portal.database import db, enter
from portal.texts import Text
from tests.support.factories import make_asset, make_assets
from tests.support.people import Cast


def names(cast: Cast, query: str = "") -> list[str]:
    answer = cast.vera.api.get(cast.url(f"assets{query}"))
    assert answer.status_code == 200, answer.text
    return [item["file_name"] for item in answer.get_json()["items"]]


def test_pages_show_every_asset_once_the_newest_first(cast: Cast) -> None:
    made = [str(asset_id) for asset_id in make_assets(cast, 7)]
    seen: list[str] = []
    cursor: str | None = ""
    pages = 0
    while cursor is not None:
        answer = cast.vera.api.get(cast.url(f"assets?limit=3&cursor={cursor}")).get_json()
        seen += [item["asset_id"] for item in answer["items"]]
        cursor, pages = answer["next_cursor"], pages + 1
    assert (seen, pages) == (made[::-1], 3)


def test_an_asset_has_the_shape_of_the_contract(cast: Cast) -> None:
    asset_id = make_asset(cast, "Café.jpg", scan_engine="ClamAV 1.4.3", scan_database="27000")
    item = cast.vera.api.get(cast.url("assets")).get_json()["items"][0]
    one = cast.vera.api.get(cast.url(f"assets/{asset_id}")).get_json()
    assert one == item
    assert one["asset_id"] == str(asset_id)
    assert (one["file_name"], one["kind"]) == ("Café.jpg", "photo")
    assert (one["status"], one["previews"]) == ("available", "ready")
    assert one["scan"] == {
        "verdict": "clean",
        "signature": None,
        "engine": "ClamAV 1.4.3",
        "database": "27000",
        "reason": None,
    }
    assert one["metadata"]["width"] == 4000
    assert [variant["name"] for variant in one["variants"]] == ["thumb", "small", "medium", "large", "web"]
    assert set(one["variants"][0]) == {"name", "width", "height", "size_bytes", "mime_type", "url"}
    assert one["created_by"] == str(cast.alice.id)
    assert one["created_at"].endswith("Z")
    assert one["reason"] is one["deleted_at"] is one["last_opened_at"] is None


def test_the_assets_that_one_knows_are_asked_for_in_one_request_whatever_their_state(cast: Cast) -> None:
    waits = make_asset(cast, "waits.jpg", state=AssetState.PROCESSING)
    binned = make_asset(cast, "binned.jpg", state=AssetState.DELETED)
    make_asset(cast, "unasked.jpg")
    sixty = make_assets(cast, 60)
    foreign = make_asset(cast, "foreign.jpg", workspace=cast.lair)
    ids = [*sixty, waits, binned, foreign, uuid4()]
    answer = cast.vera.api.get(cast.url(f"assets?ids={','.join(map(str, ids))}")).get_json()
    assert answer["next_cursor"] is None
    found = {item["asset_id"]: item["status"] for item in answer["items"]}
    assert found == {**{str(each): "available" for each in sixty}, str(waits): "processing", str(binned): "deleted"}


@pytest.mark.parametrize("query", ["ids=x", f"ids={UUID(int=1)},", f"ids={','.join([str(UUID(int=1))] * 101)}"])
def test_what_are_no_ids_or_too_many_is_refused(cast: Cast, query: str) -> None:
    answer = cast.vera.api.get(cast.url(f"assets?{query}"))
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid")
    assert answer.get_json()["field"].startswith("ids")


def test_ids_go_with_no_other_filter(cast: Cast) -> None:
    answer = cast.vera.api.get(cast.url(f"assets?ids={uuid4()}&status=failed"))
    assert (answer.status_code, answer.get_json()["field"]) == (422, "ids")


def test_states_and_reasons_are_told(cast: Cast) -> None:
    make_asset(
        cast,
        "wait.jpg",
        state=AssetState.PROCESSING,
        previews=PreviewState.NONE,
        waiting_for="scanner_unavailable",
    )
    make_asset(
        cast,
        "bad.jpg",
        state=AssetState.FAILED,
        previews=PreviewState.NONE,
        reason_code="content_mismatch",
        reason_detail=Text("This is not a JPEG."),
    )
    make_asset(cast, "raw.jpg", scan_result=ScanResult.NOT_SCANNED, scan_reason="off")
    raw, bad, wait = cast.vera.api.get(cast.url("assets")).get_json()["items"]
    assert (wait["status"], wait["waiting_for"]) == ("processing", "scanner")
    assert bad["reason"] == {"code": "content_mismatch", "detail": "This is not a JPEG."}
    assert (raw["scan"]["verdict"], "switched off" in raw["scan"]["reason"]) == ("not_scanned", True)


def test_the_trash_is_listed_only_when_asked_for(cast: Cast) -> None:
    make_asset(cast, "here.jpg")
    gone = make_asset(cast, "gone.jpg")
    assert cast.bob.api.delete(cast.url(f"assets/{gone}")).status_code == 204
    assert names(cast) == ["here.jpg"]
    assert names(cast, "?q=jpg") == ["here.jpg"]
    assert names(cast, "?status=deleted") == ["gone.jpg"]
    assert names(cast, "?status=deleted&q=GONE") == ["gone.jpg"]


def test_filters_narrow_by_kind_state_and_library(cast: Cast) -> None:
    make_asset(cast, "a.pdf", kind="document")
    make_asset(cast, "b.jpg", state=AssetState.FAILED, reason_code="checksum_mismatch")
    press = cast.bob.api.post(cast.url("libraries"), json={"name": "Press kit"}).get_json()["id"]
    make_asset(cast, "c.jpg", library_id=press)
    assert names(cast, "?kind=document") == ["a.pdf"]
    assert names(cast, "?status=failed") == ["b.jpg"]
    assert names(cast, f"?library_id={press}") == ["c.jpg"]
    assert names(cast, f"?library_id={press}&kind=document") == []
    assert names(cast, "?kind=&status=&q=") == ["c.jpg", "b.jpg", "a.pdf"]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("holiday", ["Holiday_2024.jpg", "my holiday 100%.jpg"]),
        ("HOLIDAY", ["Holiday_2024.jpg", "my holiday 100%.jpg"]),
        ("100%", ["my holiday 100%.jpg"]),
        ("y_2", ["Holiday_2024.jpg"]),
        ("_", ["Holiday_2024.jpg"]),
        ("%", ["my holiday 100%.jpg"]),
        ("straße", ["Straße.jpg"]),
        ("aß", ["Straße.jpg"]),
        (" holiday ", ["Holiday_2024.jpg", "my holiday 100%.jpg"]),
        ("   ", ["Holiday_2024.jpg", "Straße.jpg", "my holiday 100%.jpg"]),
        ("100% my", ["my holiday 100%.jpg"]),
        ("holiday 2024", ["Holiday_2024.jpg"]),
        ("holiday straße", []),
        ("holiday　2024", ["Holiday_2024.jpg"]),  # an ideographic space
        ("％", ["my holiday 100%.jpg"]),  # a full-width sign is the sign, never a wildcard
        ("back\\slash", []),
        ("nothing like it", []),
    ],
)
def test_search_finds_a_part_of_the_name_as_it_is_written(cast: Cast, wanted: str, found: list[str]) -> None:
    for name in ("my holiday 100%.jpg", "Straße.jpg", "Holiday_2024.jpg"):
        make_asset(cast, name)
    answer = cast.vera.api.get(cast.url("assets"), query_string={"q": wanted})
    assert [item["file_name"] for item in answer.get_json()["items"]] == found


def test_search_finds_a_name_with_and_without_its_accents(cast: Cast) -> None:
    apart, together, without = "cafe\u0301.jpg", "caf\u00e9.jpg", "CAFE.jpg"
    for name in (apart, together, without):
        make_asset(cast, name)
    for wanted in ("fe\u0301", "f\u00e9", "fe", "F\u00c9"):
        found = cast.vera.api.get(cast.url("assets"), query_string={"q": wanted}).get_json()["items"]
        assert [item["file_name"] for item in found] == [without, together, apart]


def test_a_search_is_paged_like_the_list(cast: Cast) -> None:
    made = [str(asset_id) for asset_id in make_assets(cast, 5)]
    make_asset(cast, "other.jpg")
    first = cast.vera.api.get(cast.url("assets?q=file-&limit=3&kind=photo")).get_json()
    rest = cast.vera.api.get(cast.url(f"assets?q=file-&limit=3&kind=photo&cursor={first['next_cursor']}")).get_json()
    assert [item["asset_id"] for item in first["items"] + rest["items"]] == made[::-1]
    assert rest["next_cursor"] is None


def test_nobody_finds_files_of_another_tenant(cast: Cast) -> None:
    asset_id = make_asset(cast, "secret.jpg")
    make_asset(cast, "mine.jpg", workspace=cast.lair)
    assert [
        item["file_name"] for item in cast.mallory.api.get(cast.url("assets?q=jpg", cast.lair)).get_json()["items"]
    ] == ["mine.jpg"]
    for url in (cast.url("assets"), cast.url(f"assets/{asset_id}"), cast.url("assets?q=secret")):
        answer = cast.mallory.api.get(url)
        assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
    through_their_own = cast.mallory.api.get(cast.url(f"assets/{asset_id}", cast.lair))
    missing = cast.mallory.api.get(cast.url(f"assets/{uuid4()}", cast.lair))
    assert (through_their_own.status_code, through_their_own.get_json()) == (404, missing.get_json())


def test_the_function_that_searches_past_row_security_keeps_to_the_entered_tenant(cast: Cast) -> None:
    make_asset(cast, "secret.jpg")
    named = func.assets_named(cast.press.id, ["secret"], None, None, None, None, None, 10)
    found = {}
    for tenant in (cast.acme, cast.evil, None):
        with cast.app.app_context():
            enter(tenant.id if tenant else None)
            found[tenant] = len(db.session.scalars(select(named)).all())
    assert found == {cast.acme: 1, cast.evil: 0, None: 0}


@pytest.mark.parametrize("query", ["?status=lost", "?kind=song", "?library_id=7", "?limit=0", "?cursor=abc"])
def test_a_filter_that_is_none_is_refused_with_its_name(cast: Cast, query: str) -> None:
    answer = cast.vera.api.get(cast.url(f"assets{query}"))
    assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid")
    assert answer.get_json()["field"] == query[1:].partition("=")[0]


def test_an_id_that_is_no_uuid_is_not_found(cast: Cast) -> None:
    assert cast.vera.api.get(cast.url("assets/42")).status_code == 404
