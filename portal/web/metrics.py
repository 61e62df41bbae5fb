"""Prometheus: what processes did, with ``PROMETHEUS_MULTIPROC_DIR`` all of the machine together; then the installation.

The second kind is collected from the database at each request, so that every process gives the same numbers.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable

from flask import Flask, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

REQUESTS = Counter("portal_http_requests", "Requests answered.", ["method", "endpoint", "status"])
BUCKETS = (0.01, 0.05, 0.1, 0.5, 1, 5)  # seconds
SECONDS = Histogram("portal_http_request_seconds", "Time to answer.", ["endpoint"], buckets=BUCKETS)
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))


def install(app: Flask) -> None:
    """Count every request under its endpoint, never under its address: addresses are without number."""
    app.before_request(_begin)
    app.after_request(_count)


def render() -> Response:
    """The text that Prometheus reads."""
    registry: CollectorRegistry = REGISTRY
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    installation = CollectorRegistry(auto_describe=False)
    installation.register(_Installation())
    return Response(generate_latest(registry) + generate_latest(installation), content_type=CONTENT_TYPE_LATEST)


class _Installation(Collector):
    """The metrics that are the same in every process; the composition root registers their source."""

    def collect(self) -> Iterable[Metric]:
        """All of it."""
        numbers: Callable[[], Iterable[Metric]] = current_app.extensions["portal.numbers"]
        return numbers()


def _begin() -> None:
    g.metrics_began = time.perf_counter()


def _count(response: Response) -> Response:
    endpoint = request.endpoint or "none"
    method = request.method if request.method in METHODS else "other"
    REQUESTS.labels(method, endpoint, str(response.status_code)).inc()
    if "metrics_began" in g:
        SECONDS.labels(endpoint).observe(time.perf_counter() - g.metrics_began)
    return response
