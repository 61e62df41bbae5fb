"""Parts of a page that are drawn once and kept: those that depend on nothing but a few plain values and the language.

In a template::

    {{ kept("tray.html", frame.place) }}                  the values that it depends on, all hashable
    {{ kept("sidebar.html", frame.shows, here=here) }}    named ones it sees as variables, too

The part also sees the page's ``frame``; whatever it reads of that must be among the values. Forms in it work: what
``csrf_token()`` gives while a part is drawn is a mark, in whose place each person's own token is put later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from functools import lru_cache
from threading import Lock
from typing import Any

from flask import Flask, g, render_template, url_for
from flask_babel import get_locale
from flask_wtf.csrf import generate_csrf
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

KEPT = 4096  # parts that a process remembers, of about 5 KB each
MARK = "\0csrf token\0"  # no name and no text of anybody can contain U+0000


def install(app: Flask) -> None:
    """Give every template ``kept``, and ``static_url`` for addresses that occur often. Comes after CSRF's own part."""
    app.jinja_env.globals.update(kept=_kept, csrf_token=_csrf_token, static_url=_static_url)


Wanted = tuple[tuple[Any, ...], Callable[[], dict[str, Any]]]
"""What a part depends on, and what its template sees; the latter is asked for only when it was not drawn before."""


def parts(template: str, wanted: Iterable[Wanted]) -> Markup:
    """``template`` drawn once for each of ``wanted``, one after the other."""
    language = g.get("language") or _language()
    html = []
    for depends_on, context in wanted:
        key = (template, language, depends_on)
        known = _recall(key)
        if known is None:
            known = _draw(template, context())
            _remember(key, known)
        html.append(known)
    whole = "".join(html)
    return Markup(whole.replace(MARK, generate_csrf()) if MARK in whole else whole)  # noqa: S704  our own templates


def _language() -> str:
    """Of this request: asked for by every part of a page."""
    language = str(get_locale())
    g.language = language
    return language


@pass_context
def _kept(page: Context, template: str, *depends_on: Any, **given: Any) -> Markup:
    values = (depends_on, tuple(sorted(given.items())))
    return parts(template, [(values, lambda: {"frame": page.get("frame"), **given})])


def _draw(template: str, context: dict[str, Any]) -> str:
    outer = g.get("draws_part", False)
    g.draws_part = True
    try:
        return render_template(template, csrf_token=_csrf_token, **context)
    finally:
        g.draws_part = outer


_drawn: OrderedDict[tuple[Any, ...], str] = OrderedDict()  # the part that was used longest ago comes first
_lock = Lock()


def _recall(key: tuple[Any, ...]) -> str | None:
    with _lock:
        html = _drawn.get(key)
        if html is not None:
            _drawn.move_to_end(key)
        return html


def _remember(key: tuple[Any, ...], html: str) -> None:
    with _lock:
        _drawn[key] = html
        if len(_drawn) > KEPT:
            _drawn.popitem(last=False)


def _csrf_token() -> str:
    token: str = MARK if g.get("draws_part") else generate_csrf()
    return token


@lru_cache(maxsize=256)
def _static_url(filename: str) -> str:
    """The address of a static file; those of a running process do not change."""
    return url_for("static", filename=filename)
