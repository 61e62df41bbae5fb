"""The pages of quotas: the list, limits inline and in bulk with undo, one workspace, and what admins may see."""

from __future__ import annotations

import html
import json
import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from portal.admin import service as admin
from portal.assets.models import AssetState
from portal.database import db, enter, now, transaction
from portal.quotas import limits
from portal.quotas import service as quotas
from portal.storage.models import ProfileMode, StorageProfile
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.usage import measurement, snapshots
from portal.usage.models import UsagePart, UsageSnapshot
from tests.support.factories import make_asset
from tests.support.people import Cast
from tests.support.statement_counter import counted

HTMX = {"HX-Request": "true", "HX-Target": "place"}
GB = 1 << 30


def quotas_url(cast: Cast, path: str = "") -> str:
    return f"/t/{cast.acme.slug}/quotas{path}"


def shown(page: str) -> list[str]:
    """The names of the workspaces on a page, in order."""
    return re.findall(r'class="quotas-name"><a href="[^"]+"><strong>([^<]+)</strong>', page)


def open_places(cast: Cast, **limits_by_name: int | None) -> dict[str, Any]:
    with cast.app.app_context():
        return {
            name: admin.open_workspace(cast.acme.slug, name, name.capitalize(), cast.bob.email, limit_bytes=limit)
            for name, limit in limits_by_name.items()
        }


def limit_of(cast: Cast, workspace_id: Any = None) -> int | None:
    with cast.app.app_context():
        db.session.rollback()
        enter(cast.acme.id)
        return quotas.workspace_status(cast.acme.id, workspace_id or cast.press.id).limit_bytes


def set_limit(cast: Cast, limit: str, seen: str, actor: Any = None) -> Any:
    where = quotas_url(cast, f"/{cast.press.id}/limit")
    return (actor or cast.tina).browser.post(where, data={"limit": limit, "seen": seen}, headers=HTMX)


def test_an_admin_sees_every_workspace_and_others_do_not(cast: Cast) -> None:
    make_asset(cast, size_bytes=3 * GB, charged_bytes=3 * GB)
    page = cast.tina.browser.get(quotas_url(cast))
    assert page.status_code == 200
    assert shown(page.text) == ["Press"]
    assert "3 GB" in page.text
    for path in ("", f"/{cast.press.id}", "/report", "/report.csv", "/report.json"):
        assert cast.alice.browser.get(quotas_url(cast, path)).status_code == 403
        assert cast.mallory.browser.get(quotas_url(cast, path)).status_code == 404
        assert cast.tina.browser.get(quotas_url(cast, path)).status_code == 200
    assert cast.tina.browser.get(quotas_url(cast, f"/{cast.lair.id}")).status_code == 404


def test_a_tenant_with_nothing_in_it_yet_is_told_what_comes(cast: Cast) -> None:
    with cast.app.app_context():
        fresh = admin.open_tenant(f"new-{cast.acme.slug}", "New", "free")
        admin.add_user(fresh.slug, cast.tina.email, TenantRole.ADMIN, None)
    assert "No workspaces yet" in cast.tina.browser.get(f"/t/{fresh.slug}/quotas").text
    assert "Nothing to report yet" in cast.tina.browser.get(f"/t/{fresh.slug}/quotas/report").text


def test_the_list_is_sorted_filtered_searched_and_paged(cast: Cast) -> None:
    places = open_places(cast, alpha=100, beta=None, gamma=1000)
    make_asset(cast, workspace=places["alpha"], size_bytes=95, charged_bytes=95)
    make_asset(cast, workspace=places["beta"], size_bytes=500, charged_bytes=500)

    def names(query: str) -> list[str]:
        return shown(cast.tina.browser.get(quotas_url(cast, query)).text)

    assert names("?sort=name") == ["Alpha", "Beta", "Gamma", "Press"]
    assert names("?sort=-name") == ["Press", "Gamma", "Beta", "Alpha"]
    assert names("")[:2] == names("?sort=nonsense")[:2] == ["Beta", "Alpha"]
    assert names("?sort=share")[0] == "Alpha"
    assert names("?level=near") == ["Alpha"]
    assert names("?level=full") == []
    assert sorted(names("?level=unlimited")) == ["Beta", "Press"]
    assert names("?q=AMM") == ["Gamma"]
    assert names("?q=%25") == []  # a sign that means anything in SQL means itself here
    for sort in ("name", "-name", "used", "reserved", "limit", "share", "change", "full", "-full"):
        first = cast.tina.browser.get(quotas_url(cast, f"?sort={sort}&limit=3"))
        more = html.unescape(re.search(r'<a class="btn" href="([^"]+)"[^>]*rel="next"', first.text)[1])  # type: ignore[index]
        rest = cast.tina.browser.get(more, headers={"HX-Request": "true"})
        assert "<html" not in rest.text
        assert sorted(shown(first.text) + shown(rest.text)) == ["Alpha", "Beta", "Gamma", "Press"]
    assert cast.tina.browser.get(quotas_url(cast, "?sort=used&cursor=WyJ4Il0")).status_code == 422


def test_the_page_costs_the_same_statements_for_one_workspace_and_for_many(cast: Cast) -> None:
    cast.tina.browser.get(quotas_url(cast))
    with counted() as few:
        cast.tina.browser.get(quotas_url(cast))
    open_places(cast, **{f"w{number}": None for number in range(8)})
    with counted() as many:
        cast.tina.browser.get(quotas_url(cast))
    assert len(many) == len(few)


def test_a_limit_is_changed_in_its_row_and_undone_from_the_toast(cast: Cast) -> None:
    form = cast.tina.browser.get(quotas_url(cast, f"/{cast.press.id}/row?edit=1"), headers=HTMX)
    assert 'name="limit"' in form.text and "<html" not in form.text
    done = set_limit(cast, "10 GB", "")
    assert (done.status_code, limit_of(cast)) == (200, 10 * GB)
    toast = json.loads(done.headers["HX-Trigger"])["toast"]
    assert toast["text"] == "The limit was changed."
    undone = cast.tina.browser.post(toast["undo_url"])
    assert (undone.status_code, limit_of(cast)) == (303, None)
    assert cast.tina.browser.post(toast["undo_url"]).status_code == 409
    assert cast.alice.browser.post(toast["undo_url"]).status_code == 403


def test_of_two_admins_the_second_is_told_and_keeps_what_they_wrote(cast: Cast) -> None:
    set_limit(cast, "10 GB", "")
    late = set_limit(cast, "20 GB", "")
    assert (late.status_code, limit_of(cast)) == (409, 10 * GB)
    assert "Tina set the limit to 10 GB after you opened this page" in late.text
    assert 'value="20 GB"' in late.text and f'name="seen" value="{10 * GB}"' in late.text
    assert set_limit(cast, "20 GB", str(10 * GB)).status_code == 200


@pytest.mark.parametrize(
    ("limit", "words"), [("-1", "negative"), ("1e99", "a number and a unit"), ("ten", "a number and a unit")]
)
def test_a_bad_limit_comes_back_with_the_reason(cast: Cast, limit: str, words: str) -> None:
    answer = set_limit(cast, limit, "")
    assert (answer.status_code, limit_of(cast)) == (422, None)
    assert words in answer.text and f'value="{limit}"' in answer.text


def test_a_limit_below_what_is_held_says_what_it_means(cast: Cast) -> None:
    make_asset(cast, size_bytes=500, charged_bytes=500)
    done = set_limit(cast, "100", "")
    assert "new uploads are refused" in json.loads(done.headers["HX-Trigger"])["toast"]["text"]
    assert "Full" in done.text


def test_many_limits_change_at_once_where_they_are_as_seen_and_go_back_together(cast: Cast) -> None:
    places = open_places(cast, alpha=100, beta=200)
    alpha, beta = places["alpha"].id, places["beta"].id
    ticked = [f"{alpha}:100", f"{beta}:150", f"{cast.press.id}:", f"{cast.lair.id}:"]
    done = cast.tina.browser.post(quotas_url(cast, "/limits"), data={"limit": "1 GB", "workspace": ticked})
    assert done.status_code == 200
    toast = json.loads(done.headers["HX-Trigger"])["toast"]
    assert toast["text"] == "2 limits were changed. 2 were not: somebody else had set them meanwhile."
    assert (limit_of(cast, alpha), limit_of(cast, beta), limit_of(cast)) == (GB, 200, GB)
    with cast.app.app_context():
        limits.set_limit(cast.acme.id, alpha, None, 5)
    page = cast.tina.browser.post(toast["undo_url"], follow_redirects=True)
    assert "1 limit was restored. 1 was not: somebody else had set it meanwhile." in page.text
    assert (limit_of(cast, alpha), limit_of(cast)) == (5, None)
    for data in ({"limit": "1 GB"}, {"limit": "1 GB", "workspace": ["x:1"]}, {"limit": "-1", "workspace": ticked}):
        assert cast.tina.browser.post(quotas_url(cast, "/limits"), data=data).status_code == 422


def test_promising_more_than_there_is_is_shown(cast: Cast) -> None:
    set_limit(cast, "150 GB", "")
    assert "50 GB more than the limit of the tenant" in cast.tina.browser.get(quotas_url(cast)).text


def test_days_and_the_end_are_shown(cast: Cast) -> None:
    today = snapshots.today()
    rows = [
        {"workspace_id": cast.press.id, "tenant_id": cast.acme.id, "day": today - timedelta(days=30 - n),
         "used_bytes": n * GB, "used_files": n}
        for n in range(30)
    ]  # fmt: skip
    make_asset(cast, size_bytes=30 * GB, charged_bytes=30 * GB)
    with cast.app.app_context():
        limits.set_limit(cast.acme.id, cast.press.id, None, 40 * GB)
        with transaction(cast.acme.id) as session:
            session.execute(insert(UsageSnapshot), rows)
        snapshots.take_of(cast.acme.id)
    page = cast.tina.browser.get(quotas_url(cast))
    assert "in 10 days" in page.text
    assert 'd="M0.0 ' in page.text
    assert "+30 GB" in page.text
    one = cast.tina.browser.get(quotas_url(cast, f"/{cast.press.id}")).text
    assert "about 1 GB per day" in one and "data-chart" in one and "Show as a table" in one


def test_an_admin_who_is_no_member_sees_names_and_no_way_to_the_files(cast: Cast) -> None:
    make_asset(cast, "secret-plan.jpg", size_bytes=500, charged_bytes=500)
    make_asset(cast, "secret-copy.jpg", size_bytes=500, charged_bytes=500)
    make_asset(cast, "old.jpg", size_bytes=70, charged_bytes=70, state=AssetState.DELETED)
    with cast.app.app_context():
        measurement.measure(cast.acme.id, cast.press.id)
    page = cast.tina.browser.get(quotas_url(cast, f"/{cast.press.id}")).text
    assert "secret-plan.jpg" in page and "You are not a member of this workspace" in page
    assert f"/w/{cast.press.id}" not in page and "secret-plan.jpg</a>" not in page
    assert "Alice" in page and "70 bytes" in page and "Empty the trash" not in page
    with cast.app.app_context():
        admin.set_member(cast.acme.slug, "press", cast.tina.email, WorkspaceRole.EDITOR)
    page = cast.tina.browser.get(quotas_url(cast, f"/{cast.press.id}")).text
    assert "secret-plan.jpg</a>" in page and "You are not a member" not in page
    assert "Empty the trash" in page and "Deleting the copies frees" in page


def test_the_spreadsheet_runs_nothing(cast: Cast) -> None:
    with cast.app.app_context(), transaction(cast.acme.id) as session:
        session.execute(text("UPDATE workspaces SET name = '=HYPERLINK(1)'"))
    make_asset(cast)
    answer = cast.tina.browser.get(quotas_url(cast, "/report.csv"))
    assert answer.mimetype == "text/csv"
    assert "top workspace,'=HYPERLINK(1)," in answer.text
    found = cast.tina.browser.get(quotas_url(cast, "/report.json")).get_json()
    assert found["top_workspaces"][0]["name"] == "=HYPERLINK(1)"


def test_own_buckets_are_shown_apart_and_not_counted(cast: Cast) -> None:
    make_asset(cast, size_bytes=500, charged_bytes=500)
    place = {"tenant_id": cast.acme.id, "workspace_id": cast.press.id}
    address = {"name": "Own", "store": "s", "bucket": "b", "region": "r", "access_key_id": "k"}
    with cast.app.app_context():
        measurement.measure(cast.acme.id, cast.press.id)
        with transaction(cast.acme.id) as session:
            own = StorageProfile(mode=ProfileMode.BYOS, active=False, retired_at=now(), **place, **address)
            session.add(own)
            session.flush()
            what = {"part": "original", "kind": "photo", "storage_class": "STANDARD", "bytes": 7, "files": 1}
            session.add(UsagePart(profile_id=own.id, **place, **what))
    parts = cast.tina.api.get(f"/v1/tenants/{cast.acme.id}/storage/stats").get_json()["parts"]
    originals = {line["mode"]: (line["counted"], line["bytes"]) for line in parts if line["part"] == "original"}
    assert originals == {"managed_r2": (True, 500), "byos_s3": (False, 7)}
    page = cast.tina.browser.get(quotas_url(cast, "/report")).text
    assert "Files, own bucket" in html.unescape(page) and "Own bucket" in page
