"""What charts show, as plain data: static/js/charts.js draws it, components/chart.html writes it as a table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any

from flask_babel import gettext

from portal.tenancy.labels import plan_name
from portal.usage import forecast, snapshots
from portal.usage.snapshots import Point
from portal.usage.tenant_report import PartLine, PlanLine

Spec = dict[str, Any]


def of_days(points: Sequence[Point], limit_bytes: int | None, today: date) -> Spec | None:
    """Use by day, and the 30 days to come with the interval; None without a day."""
    if not points:
        return None
    known = dict(points)
    ahead = {row[0]: row[1:] for row in forecast.ahead(snapshots.whole_days(points, today), today)}
    days = sorted({*known, *ahead})
    series: list[Spec] = [{"name": gettext("Used"), "values": [known.get(day) for day in days]}]
    if ahead:
        for place, name in enumerate((gettext("Expected"), gettext("At least"), gettext("At most"))):
            values = [ahead[day][place] if day in ahead else None for day in days]
            series.append({"name": name, "values": values, "dashed": place == 0, "band": place > 0})
    highest = max([*known.values(), *(row[2] for row in ahead.values())])
    if limit_bytes is not None and limit_bytes <= 4 * highest:  # else the line would press all others to the ground
        series.append({"name": gettext("Limit"), "values": [limit_bytes] * len(days), "limit": True})
    return {"type": "line", "unit": "bytes", "labels": [day.isoformat() for day in days], "series": series}


def of_kinds(parts: Sequence[PartLine], words: dict[str, str]) -> Spec | None:
    """Originals by kind, the largest first."""
    sums: dict[str, int] = {}
    for line in parts:
        if line.part == "original":
            sums[line.kind] = sums.get(line.kind, 0) + line.bytes
    return _bars(gettext("Size"), sorted(((words.get(kind, kind), size) for kind, size in sums.items()), key=_size))


def of_parts(parts: Sequence[PartLine], words: dict[str, str]) -> Spec | None:
    """Everything by part, what lies in own buckets apart, the largest first."""
    sums: dict[str, int] = {}
    for line in parts:
        word = words.get(line.part, line.part)
        name = word if line.is_managed else gettext("%(part)s, own bucket", part=word)
        sums[name] = sums.get(name, 0) + line.bytes
    return _bars(gettext("Size"), sorted(sums.items(), key=_size))


def of_plans(plans: Sequence[PlanLine]) -> Spec | None:
    """What the tenants of each plan hold."""
    return _bars(gettext("Size"), [(plan_name(line.plan), line.bytes) for line in plans])


def of_names(named: Sequence[tuple[str, int]]) -> Spec | None:
    """The largest, as they come."""
    return _bars(gettext("Size"), list(named))


def _bars(name: str, rows: list[tuple[str, int]]) -> Spec | None:
    if not rows:
        return None
    series = [{"name": name, "values": [size for _, size in rows]}]
    return {"type": "bar", "unit": "bytes", "labels": [label for label, _ in rows], "series": series}


def _size(row: tuple[str, int]) -> int:
    return -row[1]
