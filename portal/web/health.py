"""Is this process alive, and does what it leans on answer? ``/healthz``, ``/readyz``, ``/metrics``.

The composition root names the checks: functions that return None or raise; ``vital`` ones decide the status.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from flask import Blueprint, Flask, Response, current_app, jsonify

from portal.errors import Problem
from portal.web import metrics
from portal.web.access import public

log = logging.getLogger(__name__)
blueprint = Blueprint("health", __name__)
TIMEOUT_SECONDS = 5.0  # seconds that a check may take
_lock = Lock()


@dataclass(frozen=True)
class Check:
    """One dependency of this process. Without a ``vital`` one it can't work."""

    name: str
    run: Callable[[], None]
    vital: bool


@blueprint.get("/healthz")
@public
def healthz() -> Response:
    """The process answers."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@public
def readyz() -> Response:
    """What it leans on, by name: 503 when something vital does not answer."""
    checks: list[Check] = current_app.extensions["portal.checks"]
    application: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    futures = [_ask(application, check) for check in checks]
    results = {}
    for check, future in zip(checks, futures, strict=True):
        try:
            results[check.name] = future.result(TIMEOUT_SECONDS)
        except TimeoutError:
            results[check.name] = f"no answer within {TIMEOUT_SECONDS:.0f} seconds"
    ready = all(results[check.name] == "ok" for check in checks if check.vital)
    response = jsonify(status="ready" if ready else "not ready", checks=results)
    response.status_code = 200 if ready else 503
    return response


@blueprint.get("/metrics")
@public
def prometheus() -> Response:
    """Counters for Prometheus."""
    return metrics.render()


def _ask(app: Flask, check: Check) -> Future[str]:
    """Its outcome, from a thread of its own. One that still waits for its answer is shared: anybody may call this."""
    running: dict[str, Future[str]] = app.extensions.setdefault("portal.running_checks", {})
    with _lock:
        if check.name not in running or running[check.name].done():
            pool = ThreadPoolExecutor(1)
            running[check.name] = pool.submit(_outcome, app, check)
            pool.shutdown(wait=False)
        return running[check.name]


def _outcome(app: Flask, check: Check) -> str:
    """``ok`` or a word on what is wrong: this page is public, so details go to the log."""
    with app.app_context():
        try:
            check.run()
        except Problem as problem:
            return problem.detail
        except Exception as error:  # whatever a driver raises when its server is unavailable
            log.warning("%s is not ready: %s", check.name, error)
            return "does not answer"
    return "ok"
