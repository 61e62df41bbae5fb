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
# What scripts show to people, beside the texts of templates/strings.html.
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


class _Reader(HTMLParser):
    """Collects what people see, hear, or are shown later by scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._inside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "style", "code", "pre", "time", "svg"):
            self._inside.append("strings" if values.get("id") == "strings" else tag)
        for name, value in attrs:
            # The exact moment of <time> is for whoever wants it exactly: ISO 8601.
            if value and tag != "time" and (name in SHOWN_ATTRIBUTES or SHOWN_DATA.fullmatch(name)):
                self.texts.append(value)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and (tag == self._inside[-1] or (tag == "script" and self._inside[-1] == "strings")):
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.texts.append(data)
        elif self._inside[-1] == "strings":
            self.texts.extend(_shown(json.loads(data)))


def _shown(strings: object) -> list[str]:
    """The texts in the JSON for scripts, without what they fill in."""
    if isinstance(strings, dict):
        return [text for value in strings.values() for text in _shown(value)]
    if isinstance(strings, list):
        return [text for value in strings for text in _shown(value)]
    return [re.sub(r"%?\{\w+\}", "", strings)] if isinstance(strings, str) else []


def texts_on(html: str) -> list[str]:
    """Every text of a page, and those that its scripts show."""
    reader = _Reader()
    reader.feed(html)
    return [text.strip() for text in reader.texts if text.strip()]
