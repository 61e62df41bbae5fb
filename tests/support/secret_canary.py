"""The canary: a secret that the tests' customers hand over, and that must be found nowhere afterwards.

Looked for when the engines stop, hence after the whole suite: in every column of every table of every database, in
everything that Valkey holds, in every log of every process, in what was logged in this process with its tracebacks, and
in every answer that it gave. Spelled as it is, in hex and in base64, and inside RQ's compressed jobs.
"""

from __future__ import annotations

import base64
import logging
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import redis
from flask import Flask, Response
from psycopg import sql
from sqlalchemy import make_url

from tests.support.engines import CANARY, TestEngines

MARK = CANARY[:20]  # all of them begin like this


def spellings(text: str) -> list[bytes]:
    """How it could be written down; base64 from each of the three places where it may begin."""
    raw = text.encode()
    inside = [base64.b64encode(b"x" * shift + raw)[4 if shift else 0 : -4] for shift in range(3)]
    return [raw, raw.hex().encode(), raw.hex().upper().encode(), *inside]


SPELLINGS = spellings(MARK)
seen: list[str] = []  # where this process said it


def contains_secret(content: bytes, wanted: list[bytes] = SPELLINGS) -> bool:
    """Is it in there?"""
    return any(each in content for each in wanted)


class SecretLogHandler(logging.Handler):
    """Hears what is logged in this process, tracebacks included."""

    def emit(self, record: logging.LogRecord) -> None:
        """Remember who said it."""
        words = self.format(record)
        if contains_secret(words.encode()):
            seen.append(f"log: {record.name} {record.pathname}:{record.lineno}")


def listen(app: Flask) -> Flask:
    """Look at every answer of an application in this process."""

    @app.after_request
    def look(response: Response) -> Response:
        whole = response.is_sequence and not response.direct_passthrough  # what is streamed must stay so
        said = str(response.headers).encode() + (response.get_data() if whole else b"")
        if contains_secret(said):
            from flask import request

            seen.append(f"answer: {request.method} {request.path}")
        return response

    return app


def search(engines: TestEngines, *folders: Path, wanted: list[bytes] = SPELLINGS) -> list[str]:
    """Every place where it is."""
    places = [*_in_databases(engines, wanted), *_in_valkey(engines, wanted)]
    logs = [path for folder in (engines.folder.log, *folders) for path in folder.rglob("*.log*") if path.is_file()]
    return places + [str(path) for path in logs if contains_secret(path.read_bytes(), wanted)] + seen


def _in_databases(engines: TestEngines, wanted: list[bytes]) -> Iterator[str]:
    url = make_url(engines.settings().migration_database_url or "").set(drivername="postgresql")
    names = "SELECT datname FROM pg_database WHERE NOT datistemplate AND datname <> 'postgres'"
    with psycopg.connect(url.render_as_string(hide_password=False)) as connection:
        databases = [name for (name,) in connection.execute(names)]
    for database in databases:
        with psycopg.connect(url.set(database=database).render_as_string(hide_password=False)) as connection:
            tables = "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            for (table,) in connection.execute(tables).fetchall():
                rows = sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(table))
                if any(contains_secret(row.encode(), wanted) for (row,) in connection.execute(rows)):
                    yield f"table {database}.{table}"


def _in_valkey(engines: TestEngines, wanted: list[bytes]) -> Iterator[str]:
    root = engines.settings().redis_url.rpartition("/")[0]
    for number in range(16):
        with redis.Redis.from_url(f"{root}/{number}") as connection:
            for key in connection.scan_iter():
                if contains_secret(key, wanted) or any(
                    contains_secret(each, wanted) for each in _values(connection, key)
                ):
                    yield f"valkey {number}: {key.decode(errors='replace')}"


def _values(connection: Any, key: bytes) -> list[bytes]:
    readers: dict[bytes, Callable[[], list[bytes]]] = {
        b"string": lambda: [connection.get(key) or b""],
        b"hash": lambda: [part for pair in connection.hgetall(key).items() for part in pair],
        b"list": lambda: connection.lrange(key, 0, -1),
        b"set": lambda: list(connection.smembers(key)),
        b"zset": lambda: connection.zrange(key, 0, -1),
        b"stream": lambda: [str(connection.xrange(key)).encode()],
    }
    found = readers[connection.type(key)]()
    return [each for value in found for each in (value, _inflated(value))]


def _inflated(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return b""
