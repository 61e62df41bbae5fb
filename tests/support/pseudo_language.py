"""A language in which every text of ours stands between ⟦ and ⟧: what stands outside was not translated.

It takes the place of Esperanto, which the portal will hardly speak, so that Babel knows its dates and plurals.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from portal.web.languages import CATALOGUES

TAG = "eo"
SHOWN_ATTRIBUTES = ("title", "alt", "aria-label", "placeholder", "aria-description")
# What scripts show to people, beside the texts of templates/script_texts.json.
SHOWN_DATA = re.compile(r"data-(confirm(-title|-action)?|said|words|label|title)")
WORD = re.compile(r"[A-Za-z]{2,}")


def write_catalogue(folder: Path) -> Path:
    """Write the language's catalogue into ``folder``, and give it back."""
    with (CATALOGUES / "messages.pot").open("rb") as template:
        known = read_po(template)
    catalogue = Catalog(locale=TAG)
    for message in known:
        if message.id:
            forms = _mark(message.id) if isinstance(message.id, str) else tuple(map(_mark, message.id))
            catalogue.add(message.id, forms, flags=message.flags, context=message.context)
    compiled = folder / TAG / "LC_MESSAGES" / "messages.mo"
    compiled.parent.mkdir(parents=True)
    with compiled.open("wb") as file:
        write_mo(file, catalogue)
    return folder


def _mark(text: str) -> str:
    return f"⟦{text}⟧"


def untranslated(text: str, *data: str) -> list[str]:
    """The words of a text that stand outside of ⟦ ⟧ and are none of ``data``."""
    depth, outside = 0, []
    for character in text:
        if character == "⟧":
            depth -= 1
            outside.append(" ")
        depth += character == "⟦"
        if not depth and character != "⟧":
            outside.append(character)
    rest = "".join(outside)
    for each in sorted(data, key=len, reverse=True):
        rest = rest.replace(each, " ")
    return WORD.findall(rest)


VOID = frozenset(("area", "base", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"))
# What is no text of ours: code, exact times, and what the page marks as data or as English (names, logs).
NO_TEXT = frozenset(("script", "style", "code", "pre", "time", "svg", "circle", "path", "rect"))


class _Reader(HTMLParser):
    """Collects what people see, hear, or are shown later by scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._open: list[tuple[str, str]] = []  # tag and what is in it: "text" or "data"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        inside = self._inside
        if tag in NO_TEXT or values.get("translate") == "no" or (tag != "html" and values.get("lang") == "en"):
            inside = "data"
        if inside == "text":
            self.texts += [value for name, value in attrs if value and _is_shown(name)]
        if tag not in VOID:
            self._open.append((tag, inside))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop()[0] != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._inside == "text":
            self.texts.append(data)

    @property
    def _inside(self) -> str:
        return self._open[-1][1] if self._open else "text"


def _is_shown(attribute: str) -> bool:
    return attribute in SHOWN_ATTRIBUTES or SHOWN_DATA.fullmatch(attribute) is not None


def texts_of_scripts(javascript: str) -> list[str]:
    """The texts in the file that scripts read, without what they fill in."""
    return _shown(json.loads(javascript.partition(" = ")[2].rstrip().removesuffix(";")))


def _shown(texts: object) -> list[str]:
    if isinstance(texts, dict):
        return [text for value in texts.values() for text in _shown(value)]
    return [re.sub(r"%?\{\w+\}", "", texts)] if isinstance(texts, str) else []


def texts_on(html: str) -> list[str]:
    """Every text of a page, and those that its scripts show."""
    reader = _Reader()
    reader.feed(html)
    return [text.strip() for text in reader.texts if text.strip()]
