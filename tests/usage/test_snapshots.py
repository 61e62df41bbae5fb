"""Measuring and daily snapshots: what is due, safe to repeat, one tenant each."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from flask import Flask
from sqlalchemy import delete, select, text, update

from portal.database import db, enter, now, transaction
from portal.usage import measurement, snapshots
from portal.usage.models import TenantSnapshot, UsagePart, UsageSnapshot, WorkspaceUsage
from tests.support.factories import make_asset, make_assets
from tests.support.people import Cast
from tests.support.quotas import open_place


def usage(cast: Cast) -> WorkspaceUsage:
    with cast.app.app_context():
        enter(cast.acme.id)
        found = db.session.scalars(select(WorkspaceUsage)).one()
        db.session.expunge_all()
        return found


def due(cast: Cast) -> set[UUID]:
    with cast.app.app_context(), transaction() as session:
        return {row.workspace_id for row in session.execute(text("SELECT * FROM due_measurements(100000)"))}


def measured(cast: Cast, ago: timedelta, duration_ms: int = 0) -> None:
    with cast.app.app_context():
        measurement.measure(cast.acme.id, cast.press.id)
        with transaction(cast.acme.id) as session:
            session.execute(update(WorkspaceUsage).values(as_of=now() - ago, duration_ms=duration_ms))


def test_a_workspace_is_due_a_minute_after_it_moved_and_once_an_hour_otherwise(cast: Cast) -> None:
    assert cast.press.id in due(cast)
    measured(cast, timedelta(seconds=0))
    assert cast.press.id not in due(cast)
    measured(cast, timedelta(minutes=59))
    assert cast.press.id not in due(cast)
    make_asset(cast)
    assert cast.press.id in due(cast)
    measured(cast, timedelta(seconds=50))
    assert cast.press.id not in due(cast)
    measured(cast, timedelta(minutes=61))
    assert cast.press.id in due(cast)


def test_measuring_takes_at_most_a_hundredth_of_the_time(cast: Cast) -> None:
    measured(cast, timedelta(hours=2), duration_ms=80_000)
    assert cast.press.id not in due(cast)
    measured(cast, timedelta(hours=2), duration_ms=70_000)
    assert cast.press.id in due(cast)


def test_measuring_again_replaces_what_was_measured(cast: Cast) -> None:
    make_asset(cast, "a.jpg", size_bytes=500, charged_bytes=500, sha256="aa" * 32)
    make_asset(cast, "b.jpg", size_bytes=200, charged_bytes=200, sha256="bb" * 32)
    make_assets(cast, 3, size_bytes=100, charged_bytes=100, sha256="cc" * 32)
    for _ in range(2):
        with cast.app.app_context():
            measurement.measure(cast.acme.id, cast.press.id)
    found = usage(cast)
    assert [each["bytes"] for each in found.largest] == [500, 200, 100, 100, 100]
    assert found.duplicates == [{"sha256": "cc" * 32, "kind": "photo", "files": 3, "bytes": 200}]
    assert (found.duplicate_files, found.duplicate_bytes) == (2, 200)
    (folder,) = found.folders
    assert (folder["library"], folder["folder"], folder["bytes"], folder["files"]) == ("Files", None, 1000, 5)
    with cast.app.app_context():
        enter(cast.acme.id)
        originals = db.session.scalars(select(UsagePart).filter_by(part="original")).one()
        assert (originals.bytes, originals.files) == (1000, 5)


def test_the_chore_measures_what_is_due(cast: Cast) -> None:
    with cast.app.app_context():
        for _ in range(20):  # other tests' workspaces are due, too, and those that were never measured come first
            measurement.measure_due()
            if cast.press.id not in due(cast):
                break
    assert usage(cast).as_of is not None


def test_todays_row_is_written_again_and_earlier_ones_stay(in_app: Flask) -> None:
    place = open_place(1000, tenant_limit=5000)
    yesterday = snapshots.today() - timedelta(days=1)
    place.hold(10)
    snapshots.take_of(place.tenant)
    with transaction(place.tenant) as session:
        for model in (UsageSnapshot, TenantSnapshot):
            session.execute(update(model).values(day=yesterday))
    place.hold(20)
    for _ in range(2):
        snapshots.take_of(place.tenant)
    enter(place.tenant)
    days = [(yesterday, 10), (snapshots.today(), 30)]
    assert snapshots.points_of_tenant(place.tenant, snapshots.today()) == days
    assert snapshots.points_of([place.workspace], snapshots.today())[place.workspace] == days
    row = db.session.scalars(select(WorkspaceUsage)).one()
    assert (row.change_bytes, row.growth_bytes, row.full_on, row.as_of) == (20, None, None, None)


def test_a_steady_month_has_an_end(in_app: Flask) -> None:
    place, today = open_place(400, tenant_limit=400), snapshots.today()
    place.hold(300)
    with transaction(place.tenant) as session:
        for n in range(30):
            own = {"day": today - timedelta(days=30 - n), "tenant_id": place.tenant, "used_files": 1}
            session.add(UsageSnapshot(workspace_id=place.workspace, used_bytes=10 * n, **own))
            session.add(TenantSnapshot(used_bytes=10 * n, **own))
        session.add(UsageSnapshot(workspace_id=place.workspace, day=today - timedelta(days=900),
                                  tenant_id=place.tenant, used_bytes=1, used_files=1))  # fmt: skip
    snapshots.take_of(place.tenant)
    enter(place.tenant)
    row = db.session.scalars(select(WorkspaceUsage)).one()
    assert (row.growth_bytes, row.full_on, row.change_bytes) == (10, today + timedelta(days=10), 300)
    newest = db.session.scalars(select(TenantSnapshot).filter_by(day=today)).one()
    assert (newest.growth_bytes, newest.full_on, newest.limit_bytes) == (10, today + timedelta(days=10), 400)
    assert len(db.session.scalars(select(UsageSnapshot)).all()) == 31  # what is too old is forgotten


def test_a_tenant_without_workspaces_is_written_down(in_app: Flask) -> None:
    place = open_place()
    with transaction(place.tenant) as session:
        session.execute(delete(WorkspaceUsage))
        session.execute(text("DELETE FROM workspace_quotas"))
        session.execute(text("DELETE FROM workspaces"))
    snapshots.take_of(place.tenant)
    enter(place.tenant)
    assert snapshots.points_of_tenant(place.tenant, snapshots.today()) == [(snapshots.today(), 0)]
