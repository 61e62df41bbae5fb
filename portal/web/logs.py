"""Logs that can be followed: each line carries what it belongs to (request, job), as text or as JSON."""

from __future__ import annotations

import json
import logging
import re
import secrets
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from types import MappingProxyType

from flask import Flask, Response, g, request

log = logging.getLogger("portal.requests")
_bound: ContextVar[Mapping[str, str]] = ContextVar("bound", default=MappingProxyType({}))
QUIET = frozenset(("/healthz", "/readyz", "/metrics"))


@contextmanager
def bound(**facts: str) -> Iterator[None]:
    """Every line logged inside carries these facts, e.g. ``with bound(job="take_in", id=str(asset_id)):``."""
    token = _bound.set({**_bound.get(), **facts})
    try:
        yield
    finally:
        _bound.reset(token)


def configure(log_format: str) -> None:
    """Log to stderr as ``text`` or ``json``; for the process, once."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if log_format == "json" else _Text())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def request_id() -> str:
    """The id of this request: the code that a person quotes."""
    return str(g.get("request_id", "-"))


def install(app: Flask) -> None:
    """Give each request an id and log one line for it."""
    app.before_request(_begin)
    app.after_request(_end)
    app.teardown_request(_forget)


def _begin() -> None:
    g.request_id = secrets.token_hex(8)
    g.request_began = time.perf_counter()
    g.log_token = _bound.set({"request": str(g.request_id)})


def _end(response: Response) -> Response:
    if "request_id" in g:
        response.headers["X-Request-ID"] = g.request_id
        level = logging.DEBUG if request.path in QUIET or request.endpoint == "static" else logging.INFO
        spent = (time.perf_counter() - g.request_began) * 1000
        log.log(level, "%s %s %d %.1f ms", request.method, logged_path(), response.status_code, spent)
    return response


def logged_path() -> str:
    """The path of the request without a secret: whoever reads a log must not be able to follow a person's link."""
    token = (request.view_args or {}).get("token")
    return request.path.replace(token, "…") if isinstance(token, str) else request.path


def _forget(_error: BaseException | None) -> None:
    if (token := g.pop("log_token", None)) is not None:
        with suppress(ValueError):  # in another context than the one that set it, which ends by itself
            _bound.reset(token)


# What would end a line or steer a terminal: addresses and names that others choose come into our lines.
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's own name
        record.message = _CONTROL.sub(lambda found: ascii(found[0])[1:-1], record.message)
        return super().formatMessage(record)

    def format(self, record: logging.LogRecord) -> str:
        facts = "".join(f" {name}={value}" for name, value in _bound.get().items())
        return super().format(record) + facts


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **_bound.get(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)
