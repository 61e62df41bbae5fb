"""Pages and fragments: one address gives a whole page to a browser and its changing part to htmx."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

from flask import Flask, Response, flash, render_template
from htmx_flask import Htmx, request
from markupsafe import Markup, escape

from portal.errors import Conflict, Problem
from portal.web import formats
from portal.web.paging import Paging

htmx_extension = Htmx()
FOREVER = "public, max-age=31536000, immutable"
# A page compares the version of its scripts with that of later answers: after an upgrade it asks for a reload.
SCRIPTS = "Stowage-Scripts"


def is_fragment_wanted() -> bool:
    """Whether htmx requests a fragment. Boosted links and restored history request the whole page."""
    htmx = request.htmx
    return bool(htmx) and not htmx.boosted and not htmx.history_restore_request


def wants_next_rows(paging: Paging) -> bool:
    """Whether htmx requests only the next rows of a list."""
    return bool(paging.after) and is_fragment_wanted()


def render(page: str, fragment: str, **context: Any) -> str:
    """``fragment`` (an underscore file that ``page`` includes) for htmx, else ``page``."""
    return render_template(fragment if is_fragment_wanted() else page, **context)


@contextmanager
def flash_refusal(*kinds: type[Problem]) -> Iterator[None]:
    """Say on the next page why something was not done, where an error page would lose the page that one works on.

    ``kinds``: the refusals that a person can do something about; without any, ``Conflict``.
    """
    caught = kinds if kinds else (Conflict,)
    try:
        yield
    except caught as problem:
        flash(problem.detail, "danger")


def install(app: Flask) -> None:
    """htmx, and static files whose address changes with their content, so that browsers may keep them for ever."""
    htmx_extension.init_app(app)
    formats.install(app)
    folder = Path(app.static_folder or "")
    scripts = _scripts_version(folder / "js")
    app.jinja_env.globals["scripts_version"] = scripts

    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static" and "v" not in values and (version := _version(folder / values["filename"])):
            values["v"] = version

    def static_url(filename: str) -> str:
        """As ``url_for("static", …)`` builds it, without its cost: a page names a hundred icons of one file."""
        version = _version(folder / filename)
        return f"{app.static_url_path}/{filename}" + (f"?v={version}" if version else "")

    sprite = static_url("vendor/tabler-icons/sprite.svg")

    def icon(name: str, **attributes: str) -> Markup:
        """One decorative icon of the sprite; ``class`` adds classes. A page has fifty, and a macro takes ten times as
        long as this.
        """
        start = f'<svg class="icon {escape(attributes.get("class", ""))}" aria-hidden="true" width="20" height="20">'
        return Markup(f'{start}<use href="{sprite}#{escape(name)}"/></svg>')  # noqa: S704  what is given is escaped

    def keep(response: Response) -> Response:
        if request.endpoint == "static" and response.status_code in (200, 304):
            response.headers["Cache-Control"] = FOREVER if "v" in request.args else "no-cache"
        else:
            response.headers[SCRIPTS] = scripts
        return response

    app.url_defaults(add_version)
    app.after_request(keep)
    app.jinja_env.globals.update(static_url=static_url, icon=icon)


def _scripts_version(folder: Path) -> str:
    """One digest of all scripts."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.js")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _version(path: Path) -> str | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return _digest(path, facts.st_mtime_ns)


@lru_cache(maxsize=1024)
def _digest(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]
