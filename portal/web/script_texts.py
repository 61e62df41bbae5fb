"""The texts that scripts show: one file a language, which browsers keep for ever, as its address has its digest.

In each page they would be a fifth of what is sent and rendered. static/js/strings.js reads them: a deferred script runs
before the modules that stand after it in the page, so they are there when the first module needs one.
"""

from __future__ import annotations

import hashlib

from babel import Locale
from flask import Blueprint, Flask, Response, current_app, request, url_for
from flask_babel import gettext as _

from portal.errors import NotFound
from portal.web.access import public
from portal.web.languages import available, current_tag, speaking
from portal.web.pages import FOREVER

blueprint = Blueprint("script_texts", __name__)
_TEMPLATE = "script_texts.json"


@blueprint.get("/script-texts/<tag>.js")
@public
def show(tag: str) -> Response:
    locale = available().get(tag)
    if locale is None:
        raise NotFound(_("There is nothing at this address."))
    response = Response(_script_in(locale), mimetype="text/javascript")
    # During an upgrade a page of the new release may ask a process of the old one: that answer must not stay.
    response.headers["Cache-Control"] = FOREVER if request.args.get("v") == _version(locale) else "no-cache"
    return response


def install(app: Flask) -> None:
    """Give templates the address of the file in the reader's language."""
    app.extensions["portal.script_texts"] = {}

    def script_texts_url() -> str:
        tag = current_tag()
        return url_for("script_texts.show", tag=tag, v=_version(available()[tag]))

    app.jinja_env.globals["script_texts_url"] = script_texts_url


def _version(locale: Locale) -> str:
    return hashlib.sha256(_script_in(locale).encode()).hexdigest()[:12]


def _script_in(locale: Locale) -> str:
    """The file in one language, made once: catalogues are read when the process starts."""
    known: dict[Locale, str] = current_app.extensions["portal.script_texts"]
    if locale not in known:
        with speaking(locale):
            texts = current_app.jinja_env.get_template(_TEMPLATE).render()
        known[locale] = f"globalThis.stowageTexts = {texts.strip()};\n"
    return known[locale]
