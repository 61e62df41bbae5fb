"""Headers that every answer carries: what a page may load, what caches may keep, where it may be shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from urllib.parse import urlsplit

from flask import Flask, Response, g, redirect, request
from flask_babel import gettext as _
from werkzeug.wrappers import Response as BaseResponse

from portal.errors import Forbidden
from portal.settings import Settings
from portal.web.problems import speaks_json
from portal.web.wsgi_guard import PROBES, request_target

STORES = "Stowage-Stores"  # what a page needs beside the managed store: one that is swapped in may need more


def origin_of(url: str) -> str:
    """Scheme, host and port of an address, as a Content-Security-Policy writes them."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def allow_stores(origins: Iterable[str]) -> None:
    """Let the page that is being made load from, and upload to, these stores, too."""
    g.stores = sorted({*allowed_stores(), *origins})


def allowed_stores() -> list[str]:
    """Those that were named so far."""
    stores: list[str] = g.get("stores", [])
    return stores


def content_security_policy(*stores: str) -> str:
    """The policy of our pages: nothing from elsewhere but the stores' objects, nothing inline."""
    store = " ".join(stores)
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": f"'self' data: blob: {store}",
        "media-src": store,
        "connect-src": f"'self' {store}",
        "font-src": "'self'",
        "worker-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def install(app: Flask, settings: Settings) -> None:
    """Send these headers with every answer, and lead requests for another host to ours."""
    managed = origin_of(settings.s3_public_endpoint)
    always = {
        "Content-Security-Policy": content_security_policy(managed),
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Resource-Policy": "same-origin",  # other sites can't embed our answers
    }
    # What only documents obey: a page's thirty scripts and styles would carry 5 KB of it. No page of ours needs what a
    # browser asks permission for.
    of_documents = {
        "X-Frame-Options": "DENY",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    }
    if settings.base_url.startswith("https://"):
        always["Strict-Transport-Security"] = "max-age=31536000; includeSubDomains"

    def add(response: Response) -> Response:
        if stores := [origin for origin in allowed_stores() if origin != managed]:
            response.headers["Content-Security-Policy"] = content_security_policy(managed, *stores)
            response.headers[STORES] = " ".join(stores)
        wanted = always if response.mimetype in ("text/javascript", "text/css") else always | of_documents
        for name, value in wanted.items():
            response.headers.setdefault(name, value)
        if request.endpoint != "static":
            response.headers.setdefault("Cache-Control", "no-store")
            if response.mimetype == "text/html":
                response.vary.add("HX-Request")
        return response

    app.after_request(add)
    app.before_request(_own_host_only(settings.base_url))
    if settings.base_url.startswith("https://") and settings.trusted_proxies:
        app.before_request(_https_only(settings.base_url))


def _https_only(base_url: str) -> Callable[[], BaseResponse | None]:
    """Lead plain http to https. Only a trusted proxy's header says which scheme the client used."""

    def check() -> BaseResponse | None:
        is_known = "X-Forwarded-Proto" in request.headers
        if request.path in PROBES or not is_known or request.is_secure:
            return None
        if speaks_json() or request.method not in ("GET", "HEAD"):
            # What was sent in clear has been sent: a client must get an error, not be redirected with its token.
            raise Forbidden(_("This portal is reached by https only. Use %(address)s.", address=base_url), code="https")
        return redirect(base_url + request.full_path.rstrip("?"), 308)

    return check


def _own_host_only(base_url: str) -> Callable[[], BaseResponse | None]:
    """A cookie and a CORS rule belong to one origin: localhost and 127.0.0.1 are two. Any method is redirected as it is
    (307), and not for ever, because a base address may change.
    """
    host = _host(urlsplit(base_url).netloc, base_url)

    def check() -> BaseResponse | None:
        # Probes come from inside, by whatever name they know the machine.
        if request.path in PROBES or _host(request.host, base_url) == host:
            return None
        query = request.query_string.decode("latin-1")
        path = request_target(request.environ).partition("?")[0]
        if not path.startswith("/"):
            path = request.path
        return redirect(f"{base_url}{path}{'?' + query if query else ''}", 307)

    return check


def _host(netloc: str, base_url: str) -> str:
    """A host as browsers compare it: lower case, without the scheme's own port."""
    usual = ":443" if base_url.startswith("https://") else ":80"
    return netloc.lower().removesuffix(usual)
