"""Where use is going: a straight line through the daily snapshots, and how far from it a coming day may lie.

Least squares, and the prediction interval of a new observation at day x:
``fit(x) ± t · s · sqrt(1 + 1/n + (x - mean)² / Sxx)`` with n - 2 degrees of freedom (N. R. Draper and H. Smith,
Applied Regression Analysis, 3rd ed., 1998, section 3.1). The quantile of Student's t comes from the normal one by
M. Abramowitz and I. A. Stegun, Handbook of Mathematical Functions, 1964, formula 26.7.5: right to 0.001 from 5 degrees
of freedom on. Days are UTC days, counted: months and missing days make no difference.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import sqrt
from statistics import NormalDist, fmean, linear_regression
from typing import Literal

Trend = Literal["stable", "low", "moderate", "high"]

WINDOW = 30  # days that are looked back at, and ahead
FEWEST = 7  # days: with fewer a line says nothing, and we say that
CONFIDENCE = 0.95
HORIZON = 3650  # days ahead in which "full" is looked for
MB = 1 << 20


@dataclass(frozen=True)
class Line:
    """The line through ``points``; days are counted from ``origin``."""

    origin: date
    slope: float
    intercept: float
    spread: float
    mean: float
    sxx: float
    n: int

    def at(self, day: date) -> float:
        """Bytes that the line says for a day."""
        return self.intercept + self.slope * (day - self.origin).days

    def reach(self, day: date) -> float:
        """How far above or below the line a single day may lie, in bytes."""
        distance = (day - self.origin).days - self.mean
        return quantile(self.n - 2) * self.spread * sqrt(1 + 1 / self.n + distance**2 / self.sxx)


@dataclass(frozen=True)
class Outlook:
    """What a series of snapshots says; sizes in bytes. With too few days everything but ``data_points`` is None.

    ``growth_bytes`` is a day's. ``expected_bytes`` is the use in 30 days, which lies between ``low_bytes`` and
    ``high_bytes`` with a probability of 95 %. ``full_on`` is when the limit is met: None when never within ten years;
    ``full_latest`` None: perhaps never.
    """

    data_points: int
    trend: Trend | None = None
    growth_bytes: int | None = None
    expected_bytes: int | None = None
    low_bytes: int | None = None
    high_bytes: int | None = None
    full_on: date | None = None
    full_earliest: date | None = None
    full_latest: date | None = None


def line_through(points: Sequence[tuple[date, int]]) -> Line | None:
    """Least squares through (day, bytes); None with too few days."""
    if len({day for day, _ in points}) < FEWEST:
        return None
    origin = min(day for day, _ in points)
    days, sizes = [float((day - origin).days) for day, _ in points], [float(size) for _, size in points]
    slope, intercept = linear_regression(days, sizes)
    rest = sum((size - intercept - slope * day) ** 2 for day, size in zip(days, sizes, strict=True))
    mean = fmean(days)
    sxx = sum((day - mean) ** 2 for day in days)
    return Line(origin, slope, intercept, sqrt(rest / (len(days) - 2)), mean, sxx, len(days))


def outlook(points: Sequence[tuple[date, int]], limit_bytes: int | None, today: date) -> Outlook:
    """What the snapshots of the last days say about the coming ones. No negative sizes come out."""
    line = line_through(points)
    if line is None:
        return Outlook(len(points))
    then = today + timedelta(days=WINDOW)
    return Outlook(
        data_points=len(points),
        trend=trend_of(line.slope),
        growth_bytes=round(line.slope),
        expected_bytes=max(0, round(line.at(then))),
        low_bytes=max(0, round(line.at(then) - line.reach(then))),
        high_bytes=max(0, round(line.at(then) + line.reach(then))),
        full_on=_met(line.at, limit_bytes, today) if line.slope > 0 else None,
        full_earliest=_met(lambda day: line.at(day) + line.reach(day), limit_bytes, today) if line.slope > 0 else None,
        full_latest=_met(lambda day: line.at(day) - line.reach(day), limit_bytes, today) if line.slope > 0 else None,
    )


def ahead(points: Sequence[tuple[date, int]], today: date) -> list[tuple[date, int, int, int]]:
    """(day, expected, low, high) of today and the next 30 days, in bytes; empty with too few days."""
    line = line_through(points)
    if line is None:
        return []
    days = [today + timedelta(days=number) for number in range(WINDOW + 1)]
    middle = [(day, line.at(day), line.reach(day)) for day in days]
    return [(day, max(0, round(at)), max(0, round(at - off)), max(0, round(at + off))) for day, at, off in middle]


def trend_of(growth: float) -> Trend:
    """The word for so many bytes a day: what shrinks is stable, too."""
    if growth < 1:
        return "stable"
    return "low" if growth <= 10 * MB else "moderate" if growth <= 100 * MB else "high"


def so_far(points: Sequence[tuple[date, int]]) -> int:
    """Bytes that a day has added from the first to the last one; 0 of a single day."""
    if not points:
        return 0
    first, last = min(points), max(points)
    return round((last[1] - first[1]) / max(1, (last[0] - first[0]).days))


def quantile(degrees: int) -> float:
    """The two-sided quantile of Student's t for ``CONFIDENCE``."""
    z, v = NormalDist().inv_cdf((1 + CONFIDENCE) / 2), float(degrees)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    fourth = (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160
    return z + first / v + second / v**2 + third / v**3 + fourth / v**4


def _met(size: Callable[[date], float], limit_bytes: int | None, today: date) -> date | None:
    """The first day from today on when ``size`` is ``limit_bytes`` or more."""
    if limit_bytes is None:
        return None

    def is_met(days: int) -> int:
        return int(size(today + timedelta(days=days)) >= limit_bytes)

    ahead = bisect_left(range(HORIZON), 1, key=is_met)
    return today + timedelta(days=ahead) if ahead < HORIZON else None
