"""Parts of a page that are drawn once and kept: those that depend on nothing but a few plain values and the language.

In a template::

    {{ kept("tray.html", frame.place) }}                  the values that it depends on, all hashable
    {{ kept("sidebar.html", frame.shows, here=here) }}    named ones it sees as variables, too

The part also sees the page's ``frame``; whatever it reads of that must be among the values. Forms in it work: what
``csrf_token()`` gives while a part is drawn is a mark, in whose place each person's own token is put later.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any, TypeVar, cast

from flask import Flask, g, render_template, url_for
from flask_babel import get_locale
from flask_wtf.csrf import generate_csrf
from jinja2 import pass_context
from jinja2.runtime import Context
from markupsafe import Markup

KEPT = 4096  # parts that a process remembers, of about 5 KB each
# No name and no text of anybody can contain U+0000.
MARK, PART_END, SLOT = "\0csrf token\0", "\0part end\0", Markup("\0parts\0")


def install(app: Flask) -> None:
    """Give every template ``kept``, and ``static_url`` for addresses that occur often. Comes after CSRF's own part."""
    app.jinja_env.globals.update(kept=_kept, part_end=PART_END, csrf_token=_csrf_token, static_url=_static_url)


Key = TypeVar("Key", bound=Hashable)


def parts(template: str, wanted: Sequence[Key], context: Callable[[list[Key]], dict[str, Any]]) -> bytes:
    """The HTML of a part for each of ``wanted``, one after the other; what a part depends on is in its entry.

    Those that are not known are drawn at once: ``template`` sees the ``context`` of them, and ends each part but the
    last with ``part_end``.
    """
    language = g.get("language") or _language()
    keys = [(template, language, each) for each in wanted]
    html = _recall(keys)
    if None in html:
        missing = [number for number, known in enumerate(html) if known is None]
        new = _draw(template, context([wanted[number] for number in missing]))
        for number, part in zip(missing, new, strict=True):
            html[number] = part.encode()
            _remember(keys[number], part.encode())
    whole = b"".join(cast(list[bytes], html))
    return whole.replace(MARK.encode(), generate_csrf().encode()) if MARK.encode() in whole else whole


def fill(page: str, html: bytes) -> bytes:
    """A page that was drawn around ``SLOT``, with ``html`` in its place.

    What is long goes past the templates: they would join and convert it several times over.
    """
    before, _, after = page.partition(SLOT)
    return b"".join((before.encode(), html, after.encode()))


def _language() -> str:
    """Of this request: asked for by every part of a page."""
    language = str(get_locale())
    g.language = language
    return language


@pass_context
def _kept(page: Context, template: str, *depends_on: Any, **given: Any) -> Markup:
    values = (depends_on, tuple(sorted(given.items())))
    html = parts(template, [values], lambda _: {"frame": page.get("frame"), **given})
    return Markup(html.decode())  # noqa: S704  our own templates


def _draw(template: str, context: dict[str, Any]) -> list[str]:
    outer = g.get("draws_part", False)
    g.draws_part = True
    try:
        return render_template(template, csrf_token=_csrf_token, **context).split(PART_END)
    finally:
        g.draws_part = outer


_drawn: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()  # the part that was used longest ago comes first
_lock = Lock()


def _recall(keys: Iterable[tuple[Any, ...]]) -> list[bytes | None]:
    found: list[bytes | None] = []
    with _lock:
        for key in keys:
            html = _drawn.get(key)
            if html is not None:
                _drawn.move_to_end(key)
            found.append(html)
    return found


def _remember(key: tuple[Any, ...], html: bytes) -> None:
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
