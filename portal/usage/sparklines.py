"""A small line of the last days, drawn by the server: a list of hundreds needs no script for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from portal.usage.forecast import WINDOW
from portal.usage.snapshots import Point

WIDTH, HEIGHT, EDGE = 96, 24, 2  # units of the drawing


def path(points: Sequence[Point], today: date) -> str:
    """The path of a line over the last 30 days, for a box of ``WIDTH`` x ``HEIGHT``; empty with fewer than two days."""
    shown = [(day, size) for day, size in points if 0 <= (today - day).days <= WINDOW]
    if len(shown) < 2:
        return ""
    low, high = min(size for _, size in shown), max(size for _, size in shown)
    room = HEIGHT - 2 * EDGE
    places = [
        (WIDTH - (today - day).days * WIDTH / WINDOW, EDGE + room * (high - size) / (high - low or 1))
        if high > low
        else (WIDTH - (today - day).days * WIDTH / WINDOW, HEIGHT / 2)
        for day, size in shown
    ]
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
