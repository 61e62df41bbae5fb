"""The language that a person reads.

It is their own choice (``users.language``), else what their browser accepts among the languages that have a
catalogue, else English. The texts in the code are English, so English needs no translation of its own. Work without a
request (jobs, commands, the scheduler) is in English; an e-mail is in its recipient's language.

A catalogue is ``translations/<language>/LC_MESSAGES/messages.po``, and what Flask-Babel reads is the ``.mo`` beside it:
``make messages`` renews both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from babel import Locale, negotiate_locale
from flask import Flask, Response, current_app, g, has_app_context, has_request_context, request
from flask_babel import Babel, Domain, force_locale, get_locale
from flask_login import current_user
from jinja2 import pass_eval_context
from jinja2.nodes import EvalContext
from markupsafe import Markup

CATALOGUES = Path(__file__).resolve().parent.parent / "translations"
ENGLISH = Locale("en")


def install(app: Flask, catalogues: Path) -> None:
    """Let texts follow the reader's language, among those that have a compiled catalogue in this folder."""
    found = [path.parent.parent.name for path in sorted(catalogues.glob("*/LC_MESSAGES/messages.mo"))]
    locales = {"en": ENGLISH} | {name.replace("_", "-"): Locale.parse(name) for name in found}
    app.extensions["portal.languages"] = locales
    babel = _Babel(app, default_translation_directories=str(catalogues), locale_selector=_choose)  # type: ignore[no-untyped-call]  # Flask-Babel has no annotations

    @pass_eval_context
    def translate(context: EvalContext, text: str, **values: Any) -> str:
        """``_`` of templates. Flask-Babel's own goes through four more calls, and a page has two hundred texts."""
        words: str = babel.domain_instance.get_translations().ugettext(text)
        return (Markup(words) if context.autoescape else words) % values if values else words  # noqa: S704  our own

    app.jinja_env.globals.update(_=translate, language_tag=current_tag)
    app.after_request(_vary)


class _Domain(Domain):
    """Flask-Babel's, which looks for the catalogue once a context instead of at each of a page's two hundred texts."""

    def get_translations(self) -> Any:
        if not has_app_context():
            return super().get_translations()  # type: ignore[no-untyped-call]  # Flask-Babel has no annotations
        found = g.get("translations")
        if found is None:
            found = g.translations = super().get_translations()  # type: ignore[no-untyped-call]  # as above
        return found


@contextmanager
def speaking(locale: Locale) -> Iterator[None]:
    """Inside, texts are in this language, whoever reads them; use this, not Flask-Babel's ``force_locale``."""
    outer = g.pop("translations", None)
    try:
        with force_locale(locale):
            yield
    finally:
        g.pop("translations", None)
        if outer is not None:
            g.translations = outer


class _Babel(Babel):
    """Flask-Babel's, with one domain for the process: its own makes one a request, which reads the catalogue again."""

    @cached_property
    def domain_instance(self) -> _Domain:
        return _Domain(domain=self.domain)  # type: ignore[no-untyped-call]  # Flask-Babel has no annotations


def available() -> Mapping[str, Locale]:
    """The languages that people can choose, by their tag (BCP 47): English, then by tag."""
    return cast("Mapping[str, Locale]", current_app.extensions["portal.languages"])


def locale_of(tag: str | None) -> Locale:
    """The locale of somebody's chosen language; English without a choice, and when its catalogue is gone."""
    return available().get(tag or "en", ENGLISH)


def current_tag() -> str:
    """The tag of the language of this page or e-mail, as ``<html lang>`` wants it."""
    return str(get_locale() or ENGLISH).replace("_", "-")


def _choose() -> Locale:
    if not has_request_context():
        return ENGLISH
    languages = available()
    # Whoever comes with an API token is not Flask-Login's user: a program gets the language of its Accept-Language.
    chosen = languages.get(getattr(current_user, "language", None) or "")
    if chosen is not None:
        return chosen
    g.language_of_browser = True
    # Not ``best_match`` of werkzeug: for "de-AT, en;q=0.5" it prefers the exact "en" to "de".
    wanted = [tag for tag, quality in request.accept_languages if quality > 0]
    found = negotiate_locale(wanted, languages, sep="-")
    return next((locale for tag, locale in languages.items() if found and tag.lower() == found.lower()), ENGLISH)


def _vary(response: Response) -> Response:
    """Caches must know where the text depends on a header of the request (RFC 9110, section 12.5.5)."""
    if "language_of_browser" in g:
        response.vary.add("Accept-Language")
    return response
