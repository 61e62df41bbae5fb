"""The metrics: every value is there and right, and alerts and dashboards find what they use."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from portal import database
from portal.app import create_app
from portal.inspection.scan_result import signatures_of
from portal.lifecycle import periodic_tasks
from portal.operations import metrics
from tests.support.api_client import refused
from tests.support.client import Scene, Site, served
from tests.support.engines import EICAR, TestEngines
from tests.support.people import Cast, Client
from tests.support.processes import close, own_settings

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RUNBOOKS = DEPLOY.parent


@pytest.fixture(scope="module")
def site(engines: TestEngines) -> Iterator[Site]:
    """An installation of its own, so that the metrics are those of these tests."""
    yield from served(own_settings(engines, "metrics", queue=8))


def samples(scene: Scene) -> dict[str, float]:
    """Every sample of the installation, by name and labels as they are written."""
    scene.site.app.extensions.pop("portal.metrics", None)
    text = scene.cast.nobody.get("/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("portal_")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_every_upload_and_scan_is_counted_once(scene: Scene, text: bytes) -> None:
    before = samples(scene)
    scene.alice.upload("a.txt", text)
    scene.alice.upload("b.txt", EICAR)
    scene.alice.upload("c.jpg", text)  # no picture
    begun = scene.alice.sent("d.txt", text)
    scene.alice.call("DELETE", f"uploads/{begun['upload_id']}")
    short = scene.alice.begin("e.txt", len(text) + 1).json()
    scene.site.put(scene.staging_key(short, "e.txt"), text)
    refused(scene.alice.commit(short["upload_id"]), 422, "size_mismatch")
    assert (
        samples(scene)['portal_work_due{job="take_in",waiting_for=""}']
        + samples(scene)['portal_work_later{job="take_in",waiting_for=""}']
        == 3
    )
    scene.site.run_jobs()
    now = samples(scene)

    def grown(name: str) -> float:
        return now.get(name, 0) - before.get(name, 0)

    assert grown('portal_uploads_total{result="available"}') == 1
    assert grown('portal_upload_bytes_total{result="available"}') == len(text)
    assert grown('portal_uploads_total{result="quarantined"}') == 1
    assert grown('portal_uploads_total{result="failed"}') == 2
    assert grown('portal_uploads_total{result="aborted"}') == 1
    assert grown('portal_upload_failures_total{reason="content_mismatch"}') == 1
    assert grown('portal_upload_failures_total{reason="size_mismatch"}') == 1
    assert grown('portal_scans_total{verdict="infected"}') == 1
    assert grown('portal_scans_total{verdict="clean"}') == 2
    assert 'portal_scans_total{verdict="not_scanned"}' in now, "a verdict without files is there as zero"
    assert grown('portal_held_files{state="all"}') == 1


def test_the_state_of_every_part_is_exported(scene: Scene) -> None:
    scene.site.sweep()
    with scene.site.app.app_context():
        periodic_tasks.record_sweep(database.now(), Counter())
        periodic_tasks.run("doctor")
    now = samples(scene)
    assert now["portal_queue_up"] == now["portal_store_up"] == now["portal_scanner_up"] == 1
    assert now["portal_workers"] == 0
    assert now['portal_chore_ok{name="doctor"}'] == 1
    assert now["portal_database_bytes"] > 1_000_000
    assert abs(now["portal_clock_last_pass_timestamp_seconds"] - database.now().timestamp()) < 60
    assert any(name.startswith('portal_store_seconds_bucket{le="+Inf",operation="HeadObject"') for name in now)


def test_a_limit_that_is_nearly_reached_is_exported(scene: Scene) -> None:
    before = samples(scene).get('portal_quota_warnings{level="critical"}', 0)
    place = scene.cast.press.id
    scene.site.sql("UPDATE workspace_quotas SET limit_bytes = 100, used_bytes = 96 WHERE workspace_id = %s", place)
    assert samples(scene)['portal_quota_warnings{level="critical"}'] == before + 1
    scene.site.sql("UPDATE workspace_quotas SET limit_bytes = NULL, used_bytes = 0 WHERE workspace_id = %s", place)


def test_without_valkey_the_other_metrics_are_exported(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        nowhere = scene.site.app.extensions["portal.redis"].from_url("redis://127.0.0.1:1")
        patch.setitem(scene.site.app.extensions, "portal.redis", nowhere)
        now = samples(scene)
        nowhere.close()
    assert now["portal_queue_up"] == 0 and now["portal_database_bytes"] > 0


def test_without_a_database_the_metrics_of_processes_are_exported(scene: Scene) -> None:
    unreachable = create_app(replace(scene.site.settings, database_url="postgresql+psycopg://a:b@127.0.0.1:1/c"))
    text = Client(unreachable).get("/metrics").text
    assert "portal_database_up 0.0" in text and "portal_http_requests_total" in text
    close(unreachable)


def test_a_part_that_fails_is_left_out(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> Iterator[Any]:
        database.db.session.execute(database.db.text("SELECT * FROM nothing_of_this_name"))
        yield

    monkeypatch.setattr(metrics, "PARTS", (broken, *metrics.PARTS))
    assert samples(scene)["portal_database_bytes"] > 0


def test_the_date_of_signatures_is_read_from_the_version_of_the_daemon() -> None:
    version, made_at = signatures_of("27817/Mon Nov 23 10:24:00 2026")
    assert version == 27817 and made_at is not None and made_at.isoformat() == "2026-11-23T10:24:00+00:00"
    assert signatures_of("test signatures") == (None, None)
    assert signatures_of(None) == (None, None)


def names_in_use() -> dict[str, str]:
    """The names of our metrics that an alert or a panel uses."""
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    dashboard = json.loads((DEPLOY / "grafana" / "stowage.json").read_text(encoding="utf-8"))
    panels = " ".join(target["expr"] for panel in dashboard["panels"] for target in panel["targets"])
    found = re.findall(r"portal_[a-z_]+", f"{rules} {panels}")
    return dict.fromkeys(found, "alerts or dashboard")


def test_every_metric_in_alerts_and_dashboard_exists(scene: Scene) -> None:
    scene.alice.call("GET", "assets")
    scene.site.sweep()
    text = scene.cast.nobody.get("/metrics").text
    known = set(re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE))
    known |= {f"{name}_bucket" for name in known}
    if not (scene.site.settings.store_folder):
        known |= {"portal_disk_free_bytes", "portal_disk_bytes"}  # exported where the store is embedded
    assert set(names_in_use()) - known == set()


def test_the_disk_is_exported_where_the_store_is_embedded(cast: Cast, tmp_path: Path) -> None:
    settings = cast.app.extensions["portal.settings"]
    cast.app.extensions["portal.settings"] = replace(settings, store_folder=tmp_path)
    cast.app.extensions.pop("portal.metrics", None)
    try:
        text = cast.nobody.get("/metrics").text
    finally:
        cast.app.extensions["portal.settings"] = settings
        cast.app.extensions.pop("portal.metrics", None)
    assert re.search(r"^portal_disk_free_bytes \d", text, re.MULTILINE)
    assert re.search(r"^portal_disk_bytes \d", text, re.MULTILINE)


@pytest.mark.parametrize("arguments", [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]])
def test_promtool_accepts_the_rules(arguments: list[str]) -> None:
    beside = Path(sys.executable).with_name("promtool")
    promtool = shutil.which("promtool") or (str(beside) if beside.exists() else None)
    assert promtool, "promtool is missing: run scripts/test-prerequisites"
    done = subprocess.run(
        [promtool, *arguments], cwd=DEPLOY / "prometheus", capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_links_to_a_runbook() -> None:
    rules = (DEPLOY / "prometheus" / "alerts.yml").read_text(encoding="utf-8")
    books = re.findall(r"runbook: (\S+)", rules)
    assert len(books) == rules.count("- alert:")
    assert [book for book in books if not (RUNBOOKS / book).exists()] == []


def test_the_daily_counts_belong_to_their_tenant(scene: Scene, text: bytes) -> None:
    sent = scene.alice.upload("a.txt", text)
    scene.site.run_jobs()
    rows = scene.site.sql("SELECT kind, label, number FROM daily_counts WHERE tenant_id = %s", scene.cast.acme.id)
    assert ("scan", "clean", 1) in rows and ("upload", "available", 1) in rows
    when = scene.site.sql("SELECT scanned_at FROM assets WHERE id = %s", UUID(sent.asset_id))
    assert when[0][0] is not None
