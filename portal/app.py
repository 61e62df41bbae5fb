"""The composition root: one application from one ``Settings``."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from flask import Flask
from flask_compress import Compress
from sqlalchemy import select
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import queue, vault
from portal.admin import frame
from portal.assets.profile_contents import count_assets, count_by_profile
from portal.database import db, end_reads_of, engine_options, schema, watch
from portal.delivery import service as delivery
from portal.events import service as events
from portal.identity import security
from portal.inspection.scanner import Scanner
from portal.migration import service as migration
from portal.operations.metrics import collect
from portal.settings import Settings
from portal.storage import contents as profile_contents
from portal.storage import service as storage
from portal.storage.contents import ContentQueries
from portal.tenancy import access as tenancy_access
from portal.tenancy import service as tenancy
from portal.uploads import staging
from portal.usage import measurement
from portal.usage.profile_contents import measured_by_profile
from portal.web import csrf, headers, languages, logs, metrics, pages, problems, rate_limits, script_texts, sessions
from portal.web.access import public, require_marks
from portal.web.health import Check
from portal.web.wsgi_guard import WSGIGuard
from portal.webhooks import dispatch
from portal.webhooks import secrets as webhook_secrets

ROOT = Path(__file__).resolve().parent.parent
PACKAGES_WITH_ROUTES = (
    "web.health",
    "web.openapi",
    "web.script_texts",
    "identity.account.views",
    "identity.password_reset_views",
    "tenancy.views",
    "tenancy.api",
    "tenancy.token_views",
    "tenancy.token_api",
    "storage.api",
    "storage.views",
    "storage.probe_api",
    "storage.probe_views",
    "quotas.api",
    "quotas.views",
    "usage.api",
    "usage.views",
    "usage.report_views",
    "usage.operator_views",
    "usage.operator_api",
    "uploads.api",
    "uploads.views",
    "library.api",
    "library.gallery",
    "library.trash",
    "library.folder_api",
    "library.folder_views",
    "library.bulk_actions",
    "delivery.api",
    "delivery.views",
    "quarantine.views",
    "quarantine.api",
    "migration.views",
    "migration.api",
    "webhooks.views",
    "webhooks.api",
    "people.views",
    "people.people_views",
    "people.invitation_views",
    "people.api",
    "admin.views",
    "admin.workspace_views",
    "admin.workspace_api",
    "operations.views",
    "admin.audit_log.views",
    "admin.audit_log.api",
    "admin.emails.views",
)
COMPRESSED = [
    "text/html",
    "text/css",
    "text/javascript",
    "application/json",
    "application/problem+json",
    "image/svg+xml",
]
LARGEST_BODY = 1 << 20  # bytes of JSON or form; files go to the store


def create_app(settings: Settings, *, catalogues: Path = languages.CATALOGUES) -> Flask:
    """The application, with every extension, route and error handler; it connects to nothing yet.

    ``catalogues`` is the folder of the translations.
    """
    schema.import_models()
    app = Flask("portal", template_folder=str(ROOT / "templates"), static_folder=str(ROOT / "static"))
    _configure(app, settings)
    sessions.install(app)
    app.extensions["portal.settings"] = settings
    storage.egress_of(settings)  # an invalid setting ends the start, not the first connection of a bucket
    profile_contents.register(
        app,
        ContentQueries(
            measured=measured_by_profile,
            counted=count_by_profile,
            count_assets=count_assets,
            uploads_open_until=staging.open_until,
            is_in_a_move=migration.is_in_a_move,
        ),
    )
    events.register(app, dispatch.is_listening)
    measurement.register(app, delivery.count_links)
    vault.register(app, storage.SECRETS, webhook_secrets.SECRETS)
    app.extensions["portal.redis"] = queue.connect(settings.redis_url)
    app.extensions["portal.rates"] = rate_limits.Rates(settings.redis_url)
    app.extensions["portal.numbers"] = collect
    app.extensions["portal.checks"] = _checks(app, settings)
    if settings.trusted_proxies:
        # Each of them appends what it saw; only so many of the last entries are theirs, the rest is the client's word.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=settings.trusted_proxies)  # type: ignore[method-assign]
    app.wsgi_app = WSGIGuard(app.wsgi_app, trusts_proxies=settings.trusted_proxies > 0)  # type: ignore[method-assign]
    db.init_app(app)
    end_reads_of(app)
    with app.app_context():
        watch(db.engine)
    languages.install(app, catalogues)
    Compress(app)
    # The order in which a request meets them: an id first, then our own host, then who may change what.
    for part in (logs, metrics, problems, rate_limits):
        part.install(app)
    headers.install(app, settings)
    security.install(app, tenancy_access.find_by_session, tenancy.record_failed_login)
    csrf.install(app)
    pages.install(app)
    script_texts.install(app)
    tenancy_access.install(app)
    frame.install(app)
    _add_routes(app)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    newest, *older = settings.secret_keys
    secure = settings.base_url.startswith("https://")
    prefix = "__Host-" if secure else ""
    app.config.update(
        SECRET_KEY=newest,
        SECRET_KEY_FALLBACKS=older,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=engine_options(settings),
        MAX_CONTENT_LENGTH=LARGEST_BODY,
        PERMANENT_SESSION_LIFETIME=7 * 86400,
        PREFERRED_URL_SCHEME="https" if secure else "http",
        TEMPLATES_AUTO_RELOAD=False,
        # A page of 180 KB becomes 15 KB by each; zstd takes 0.1 ms for it, brotli 0.6, gzip 1.0.
        COMPRESS_ALGORITHM=["zstd", "br", "gzip"],
        COMPRESS_ZSTD_LEVEL=1,
        COMPRESS_MIMETYPES=COMPRESSED,
        **_cookies("SESSION", secure),
        **_cookies("REMEMBER", secure),
        REMEMBER_COOKIE_DURATION=30 * 86400,
        # Browsers take a name with this prefix only over https, for this host and every path (RFC 6265bis, 4.1.3.2): no
        # other host of the domain can plant one.
        REMEMBER_COOKIE_NAME=f"{prefix}stowage_remember",
        SESSION_COOKIE_NAME=f"{prefix}stowage_session",
        DEVICE_COOKIE_NAME=f"{prefix}stowage_device",
    )


def _cookies(kind: str, secure: bool) -> dict[str, object]:
    return {f"{kind}_COOKIE_HTTPONLY": True, f"{kind}_COOKIE_SAMESITE": "Lax", f"{kind}_COOKIE_SECURE": secure}


def _add_routes(app: Flask) -> None:
    for name in PACKAGES_WITH_ROUTES:
        app.register_blueprint(import_module(f"portal.{name}").blueprint)
    app.view_functions["static"] = public(app.view_functions["static"])
    require_marks(app)


def _checks(app: Flask, settings: Settings) -> list[Check]:
    """The health checks of ``/readyz``, and which of them are vital."""
    return [
        Check("database", _check_database, vital=True),
        Check("redis", app.extensions["portal.redis"].ping, vital=False),
        Check("store", storage.check_managed_store, vital=True),
        Check("scanner", lambda: _check_scanner(settings), vital=False),
    ]


def _check_database() -> None:
    db.session.execute(select(1))


def _check_scanner(settings: Settings) -> None:
    scanner = Scanner.at(settings)
    if scanner.report().state == "down":
        raise scanner.unavailable("connect")
