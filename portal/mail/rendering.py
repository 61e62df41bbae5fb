"""An e-mail's content, from ``templates/mail/<template>.txt`` and ``.html``.

The first line of the text is the subject. Both are rendered in the recipient's language, and know ``addressee``
and ``portal`` (the portal's own address, without a slash at its end) besides what the caller gives. What
each template wants is written at the top of its ``.txt``; a value that is missing is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import Flask, current_app
from flask_babel.speaklater import LazyString
from jinja2 import Environment, StrictUndefined

from portal.settings import Settings
from portal.web import languages

LONGEST_SUBJECT = 200  # characters
SEVERAL_LINES = ("message", "detail")  # what people wrote as text, and what a check found


@dataclass(frozen=True)
class Content:
    """The subject and both bodies of an e-mail."""

    subject: str
    text: str
    html: str


def render(template: str, language: str | None = None, **context: Any) -> Content:
    """Render one e-mail in this language (a tag, or None: English); no request is needed.

    A value of ``context`` that is a text of ours must be lazy (``lazy_gettext``): the language of whoever causes the
    e-mail is another one. Raises ``TemplateNotFound``, ``UndefinedError``.
    """
    app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]
    settings: Settings = app.extensions["portal.settings"]
    environment = _environment(app)
    with languages.speaking(languages.locale_of(language)):
        values = {name: _clean(name, value) for name, value in context.items()} | {"portal": settings.base_url}
        plain = environment.get_template(f"mail/{template}.txt").render(values)
        subject, _, text = plain.strip().partition("\n")
        subject = one_line(subject)[:LONGEST_SUBJECT]
        html = environment.get_template(f"mail/{template}.html").render({**values, "subject": subject})
    return Content(subject, text.strip() + "\n", html)


def _environment(app: Flask) -> Environment:
    """The application's, except that nothing may be missing: an e-mail can't be reloaded."""
    known: Environment | None = app.extensions.get("portal.mail_templates")
    if known is None:
        known = app.jinja_env.overlay(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
        app.extensions["portal.mail_templates"] = known
    return known


def _clean(name: str, value: Any) -> Any:
    """Keep a value on its line: the name of a file must not add a paragraph to an e-mail."""
    if isinstance(value, (str, LazyString)):
        value = str(value)
        return value if name in SEVERAL_LINES else one_line(value)
    if isinstance(value, dict):
        return {inner: _clean(inner, each) for inner, each in value.items()}
    return [_clean(name, each) for each in value] if isinstance(value, (list, tuple)) else value


def one_line(text: str) -> str:
    """Without line ends and control characters: what stands in a header of a mail must not begin another."""
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())
