"""Tables as CSV (RFC 4180, UTF-8 with the mark that spreadsheets want), sent while they are read.

A cell that a spreadsheet would run as a formula gets an apostrophe in front: what people typed stays words.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import Response, stream_with_context

from portal.web.rate_limits import Rate, rates

RUNS = ("=", "+", "-", "@", "\t", "\r", "\n")
LINES = 200  # sent at once
SHEETS = Rate("sheet", "60 per hour")  # of a person: each reads as much as there is


def sheet(name: str, head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Response:
    """An answer that browsers save as ``name``: ASCII without quotes. Times become ISO 8601 in UTC, None is empty."""
    answer = Response(stream_with_context(_lines(head, rows)), mimetype="text/csv")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def count_sheet(person_id: UUID) -> None:
    """Before somebody gets one. Raises ``Unavailable`` for too many."""
    rates().count(SHEETS, str(person_id))


def _lines(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    buffer = io.StringIO("\ufeff")
    buffer.seek(1)
    writer = csv.writer(buffer)
    writer.writerow(head)
    for number, row in enumerate(rows, 1):
        writer.writerow([cell(value) for value in row])
        if number % LINES == 0:
            yield _taken(buffer)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


def cell(value: Any) -> Any:
    """One value as a spreadsheet may have it."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"'{value}" if isinstance(value, str) and value.startswith(RUNS) else value
