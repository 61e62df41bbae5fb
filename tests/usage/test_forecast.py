"""Where use is going: right numbers, honest intervals, UTC days."""

from __future__ import annotations

import random
from datetime import date, timedelta

import pytest

from portal.usage import forecast
from portal.usage.forecast import MB, outlook, quantile, so_far, trend_of

TODAY = date(2026, 3, 1)


def series(days: int, size: int = 1000 * MB, growth: float = 5 * MB, noise: float = 0) -> list[tuple[date, int]]:
    dice = random.Random(1)
    first = TODAY - timedelta(days=days)
    return [(first + timedelta(days=n), round(size + n * growth + dice.gauss(0, noise))) for n in range(days)]


@pytest.mark.parametrize(("degrees", "known"), [(5, 2.571), (10, 2.228), (20, 2.086), (28, 2.048), (100, 1.984)])
def test_students_quantile_is_that_of_the_tables(degrees: int, known: float) -> None:
    assert quantile(degrees) == pytest.approx(known, abs=0.001)


def test_a_steady_growth_is_found_and_full_is_the_day_when_the_line_meets_the_limit() -> None:
    found = outlook(series(30), 1000 * MB + 60 * 5 * MB, TODAY)
    assert (found.data_points, found.trend, found.growth_bytes) == (30, "low", 5 * MB)
    assert found.expected_bytes == pytest.approx(1300 * MB, abs=2)
    assert found.full_on == found.full_earliest == found.full_latest == TODAY + timedelta(days=30)


def test_months_leap_days_and_missing_days_are_counted_as_days() -> None:
    around = [(date(2028, 2, 26) + timedelta(days=n), n * 7) for n in range(10)]  # over the 29th of February
    holes = [point for number, point in enumerate(around) if number not in (3, 4)]
    assert (
        outlook(around, None, date(2028, 3, 7)).growth_bytes == outlook(holes, None, date(2028, 3, 7)).growth_bytes == 7
    )
    year = [(date(2026, 12, 28) + timedelta(days=n), n * 7) for n in range(10)]
    assert outlook(year, 7 * 12, date(2027, 1, 7)).full_on == date(2027, 1, 9)


@pytest.mark.parametrize("days", [0, 1, 2, 6])
def test_too_few_days_say_nothing(days: int) -> None:
    found = outlook(series(days), 10**12, TODAY)
    assert found == forecast.Outlook(data_points=days)
    assert outlook([(TODAY, 1)] * 10, None, TODAY).trend is None  # ten times the same day is one day


@pytest.mark.parametrize(
    ("growth", "word"),
    [
        (-5 * MB, "stable"),
        (0, "stable"),
        (1, "low"),
        (10 * MB, "low"),
        (10 * MB + 1, "moderate"),
        (100 * MB, "moderate"),
        (100 * MB + 1, "high"),
    ],
)
def test_the_words_change_at_10_and_100_mb_a_day(growth: int, word: str) -> None:
    assert trend_of(growth) == word


def test_what_does_not_grow_is_never_full_and_never_less_than_nothing() -> None:
    for growth in (0, -50 * MB):
        found = outlook(series(30, growth=growth), 2000 * MB, TODAY)
        assert (found.trend, found.full_on, found.full_earliest, found.full_latest) == ("stable", None, None, None)
        assert found.low_bytes is not None and found.low_bytes >= 0
    over = outlook(series(30), 1, TODAY)
    assert over.full_on == TODAY


def test_the_interval_holds_what_it_promises() -> None:
    inside = 0
    for seed in range(300):
        dice = random.Random(seed)
        points = [(TODAY - timedelta(days=30 - n), round(10**9 + n * 10**6 + dice.gauss(0, 10**7))) for n in range(30)]
        found = outlook(points, None, TODAY)
        truth = 10**9 + 60 * 10**6 + dice.gauss(0, 10**7)
        assert found.low_bytes is not None and found.high_bytes is not None
        inside += found.low_bytes <= truth <= found.high_bytes
    assert 0.91 <= inside / 300 <= 0.985


def test_noise_widens_the_interval() -> None:
    calm, wild = outlook(series(30), 3000 * MB, TODAY), outlook(series(30, noise=100 * MB), 3000 * MB, TODAY)
    assert calm.low_bytes is not None and wild.low_bytes is not None
    assert wild.low_bytes < calm.low_bytes
    assert wild.full_earliest is not None and wild.full_on is not None
    assert wild.full_earliest < wild.full_on
    assert wild.full_latest is None or wild.full_latest > wild.full_on


def test_few_days_tell_what_a_day_has_added_so_far() -> None:
    assert so_far([]) == so_far([(TODAY, 5)]) == 0
    assert so_far([(TODAY, 40), (TODAY - timedelta(days=3), 10)]) == 10
