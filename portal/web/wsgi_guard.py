"""What a client may say about its own request: nothing that only the server or a trusted proxy knows.

Servers differ in which headers they turn into variables of WSGI: gunicorn takes ``SCRIPT_NAME`` from 127.0.0.1, where a
proxy on the same machine is, and Caddy and HAProxy pass that header on. What is built with it (``url_for``) may be
shared between people, so this guard checks every request first, whichever server runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

WSGIApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

# A proxy may block these by their path, so that they are answered by that spelling alone.
PROBES = frozenset(("/healthz", "/readyz", "/metrics"))
# Of the forwarding headers, ProxyFix reads these two, and only as many entries as PORTAL_TRUSTED_PROXIES says.
FROM_TRUSTED_PROXIES = frozenset(("HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO"))
# Headers that some server, framework or proxy takes for the truth about address, scheme, host, path or person. PROXY
# would become HTTP_PROXY, which HTTP clients read as a proxy to use (CVE-2016-5385).
DROPPED = frozenset(
    f"HTTP_{name}"
    for name in (
        "FORWARDED",
        "PATH_INFO",
        "PROXY",
        "REMOTE_ADDR",
        "REMOTE_USER",
        "REQUEST_URI",
        "SCRIPT_NAME",
        "SERVER_NAME",
        "SERVER_PORT",
        "X_HTTP_METHOD",
        "X_HTTP_METHOD_OVERRIDE",
        "X_METHOD_OVERRIDE",
        "X_ORIGINAL_HOST",
        "X_ORIGINAL_URL",
        "X_REAL_IP",
        "X_REMOTE_USER",
        "X_REWRITE_URL",
        "X_SCHEME",
        "X_SCRIPT_NAME",
        "X_URL_SCHEME",
    )
)


class WSGIGuard:
    """Repairs the variables of each request before the application sees them.

    ``trusts_proxies``: the deployment has proxies whose ``X-Forwarded-For`` and ``-Proto`` ProxyFix reads.
    """

    def __init__(self, app: WSGIApp, *, trusts_proxies: bool) -> None:
        self._app = app
        self._kept = FROM_TRUSTED_PROXIES if trusts_proxies else frozenset()

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        for name in [name for name in environ if self._is_claim(name)]:
            del environ[name]
        environ.pop("REMOTE_USER", None)
        # The portal is never mounted below a prefix: one that is there was taken off the path by the server.
        if prefix := environ.get("SCRIPT_NAME", ""):
            environ["PATH_INFO"] = prefix + environ.get("PATH_INFO", "")
            environ["SCRIPT_NAME"] = ""
        path = "/" + environ["PATH_INFO"].lstrip("/")  # as Werkzeug reads it
        if path in PROBES and request_target(environ).partition("?")[0] != path:
            # "//metrics" and "/%6detrics" would pass a proxy's rule for "/metrics".
            start_response("404 Not Found", [("Content-Type", "text/plain"), ("Content-Length", "0")])
            return [b""]
        return self._app(environ, start_response)

    def _is_claim(self, name: str) -> bool:
        if name.startswith("HTTP_X_FORWARDED_"):
            return name not in self._kept
        return name in DROPPED


def request_target(environ: dict[str, Any]) -> str:
    """The second word of the request line as sent (RFC 9112, 3.2); the path where the server does not keep it."""
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ.get("PATH_INFO", "")
    return str(target)
