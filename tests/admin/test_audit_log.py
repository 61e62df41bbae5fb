"""The audit log: who did what and when, for admins of the tenant alone, as page, JSON and CSV."""

from __future__ import annotations

import csv
import io
from uuid import UUID

import pytest

from portal import audit
from portal.database import transaction
from portal.web.csv_export import cell
from tests.support.people import Cast


@pytest.fixture
def entries(cast: Cast) -> None:
    """Three entries of alice, one of Stowage itself, one of mallory in another tenant."""
    with cast.app.app_context(), transaction(cast.acme.id):
        for number in range(3):
            audit.record(cast.acme.id, cast.alice.id, "test.done", None, workspace_id=cast.press.id, number=number)
        audit.record(cast.acme.id, None, "test.noted", None, name="=1+1", missing=None)
    with cast.app.app_context(), transaction(cast.evil.id):
        audit.record(cast.evil.id, cast.mallory.id, "test.secret", None)


def page_of(cast: Cast, **asked: str) -> str:
    answer = cast.tina.browser.get(f"/t/{cast.acme.slug}/audit", query_string=asked)
    assert answer.status_code == 200, answer.status
    return answer.get_data(as_text=True)


@pytest.mark.usefixtures("entries")
def test_the_api_lists_who_did_what(cast: Cast) -> None:
    answer = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/audit", query_string={"action": "test.done"})
    newest, *_others, oldest = answer.get_json()["items"]
    assert (newest["facts"], oldest["facts"]) == ({"number": 2}, {"number": 0})
    assert (newest["actor_id"], newest["actor_name"]) == (str(cast.alice.id), "Alice")
    assert (newest["workspace_id"], newest["workspace_name"]) == (str(cast.press.id), "Press")
    assert UUID(newest["id"]).version == 7 and newest["time"].endswith("Z")


@pytest.mark.usefixtures("entries")
def test_it_is_read_page_by_page(cast: Cast) -> None:
    path, seen = f"/v1/tenants/{cast.acme.id}/audit", []
    asked = {"limit": "2", "actor_id": str(cast.alice.id)}
    while True:
        page = cast.tina.api.get(path, query_string=asked).get_json()
        seen += [entry["facts"]["number"] for entry in page["items"] if entry["action"] == "test.done"]
        if page["next_cursor"] is None:
            break
        asked["cursor"] = page["next_cursor"]
    assert seen == [2, 1, 0]


@pytest.mark.usefixtures("entries")
def test_it_can_be_filtered_by_days(cast: Cast) -> None:
    path = f"/v1/tenants/{cast.acme.id}/audit"
    day = cast.tina.api.get(path).get_json()["items"][0]["time"][:10]
    for asked, found in (({"since": day}, True), ({"until": day}, True), ({"until": "2020-01-01"}, False)):
        assert bool(cast.tina.api.get(path, query_string=asked).get_json()["items"]) is found
    for bad in ({"since": "yesterday"}, {"since": "0001-01-01"}, {"actor_id": "bob"}, {"action": "x" * 61}):
        assert cast.tina.api.get(path, query_string=bad).status_code == 422


@pytest.mark.usefixtures("entries")
def test_the_page_shows_the_entries_of_this_tenant_only(cast: Cast) -> None:
    page = page_of(cast)
    assert "test.done" in page and "Alice" in page and "=1+1" in page
    assert "test.secret" not in page
    assert "test.noted" not in page_of(cast, person=cast.alice.email).partition("<tbody>")[2]
    assert "Nothing matches" in page_of(cast, action="no.such")


def test_sizes_and_digests_are_shown_in_short(cast: Cast) -> None:
    digest = "0123456789abcdef" * 4
    with cast.app.app_context(), transaction(cast.acme.id):
        audit.record(cast.acme.id, None, "test.sized", None, bytes=448_682, sha256=digest, freed_bytes=None)
    page = page_of(cast, action="test.sized")
    assert "438 KB" in page and ">448682<" not in page
    assert f'title="{digest}"' in page and f">{digest}" not in page


@pytest.mark.parametrize(
    "asked", [{"person": "nobody@example.com"}, {"since": "soon"}, {"until": "9999-12-31"}], ids=["who", "from", "to"]
)
def test_a_wrong_filter_is_reported_in_the_form(cast: Cast, asked: dict[str, str]) -> None:
    answer = cast.tina.browser.get(f"/t/{cast.acme.slug}/audit", query_string=asked)
    assert answer.status_code == 422
    assert 'role="alert"' in answer.get_data(as_text=True)


@pytest.mark.usefixtures("entries")
def test_the_csv_has_values_and_no_formulas(cast: Cast) -> None:
    answer = cast.tina.browser.get(f"/t/{cast.acme.slug}/audit.csv", query_string={"action": "test.done"})
    assert answer.headers["Content-Disposition"] == f'attachment; filename="audit-{cast.acme.slug}.csv"'
    text = answer.get_data().decode("utf-8-sig")
    lines = list(csv.DictReader(io.StringIO(text)))
    assert [line["facts"] for line in lines] == ['{"number": 2}', '{"number": 1}', '{"number": 0}']
    assert {line["email"] for line in lines} == {cast.alice.email}


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_cell_that_begins_like_a_formula_stays_text(words: str) -> None:
    assert cell(words) == f"'{words}"
    assert (cell(-1), cell(None), cell("a=1")) == (-1, "", "a=1")


def test_only_admins_of_the_tenant_read_it(cast: Cast) -> None:
    for path in (f"/t/{cast.acme.slug}/audit", f"/t/{cast.acme.slug}/audit.csv"):
        assert cast.mallory.browser.get(path).status_code == 404
        assert cast.alice.browser.get(path).status_code == 403
    assert cast.mallory.api.get(f"/v1/tenants/{cast.acme.id}/audit").status_code == 404
    assert cast.vera.api.get(f"/v1/tenants/{cast.acme.id}/audit").status_code == 403
