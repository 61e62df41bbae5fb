"""Texts that are stored and read later, by people of several languages.

A text that is shown at once is ``flask_babel.gettext("…")``. A reason that is written into a row is a ``Text``: the row
keeps the English text with its values, and whoever reads it gets it in their language::

    asset.reason_detail = Text("%(found)s bytes arrived instead of %(announced)s.", found=…, announced=…)

``pybabel`` takes the first argument of ``Text`` into the catalogue, so it must be a literal.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from flask_babel import gettext
from sqlalchemy import TEXT, TypeDecorator
from sqlalchemy.engine import Dialect

Value = Any  # a string, a number, or another Text


class Text:
    """An English text with named values. ``str()`` gives it in the language of whoever reads it."""

    def __init__(self, english: str, /, **values: Value) -> None:
        self._template = english
        self._values = values

    @classmethod
    def load(cls, stored: str) -> Text:
        """The text that ``stored`` is; what was not made by it is itself, and has no translation."""
        if not stored.startswith('{"text":'):
            return cls(stored)
        return cls._from_json(json.loads(stored))

    @classmethod
    def join(cls, *sentences: Text | str, separator: str = " ") -> Text:
        """Several sentences, one after the other; with another ``separator`` several words.

        A string is data: it is not translated.
        """
        names = [f"part{number}" for number in range(len(sentences))]
        return cls(separator.join(f"%({name})s" for name in names), **dict(zip(names, sentences, strict=True)))

    @property
    def stored(self) -> str:
        """As it is stored in a row: the English text itself where it has no values, else JSON."""
        return json.dumps(self._as_json(), ensure_ascii=False) if self._values else self._template

    @property
    def english(self) -> str:
        """For logs, and for programs (events, the audit log)."""
        values = {name: v.english if isinstance(v, Text) else v for name, v in self._values.items()}
        return self._template % values if values else self._template

    def __str__(self) -> str:
        # gettext("") is the header of the catalogue.
        return gettext(self._template, **self._values) if self._template else ""

    def __repr__(self) -> str:
        return f"Text({self.english!r})"

    def __eq__(self, other: object) -> bool:
        return self.stored == other.stored if isinstance(other, Text) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.stored)

    def _as_json(self) -> dict[str, Any]:
        values = {name: v._as_json() if isinstance(v, Text) else v for name, v in self._values.items()}
        return {"text": self._template, "values": values}

    @classmethod
    def _from_json(cls, content: Mapping[str, Any]) -> Text:
        values = content["values"].items()
        return cls(content["text"], **{name: cls._from_json(v) if isinstance(v, dict) else v for name, v in values})


class TextColumn(TypeDecorator[Text]):
    """A column that keeps a ``Text``."""

    impl = TEXT
    cache_ok = True

    def process_bind_param(self, value: Text | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else value.stored

    def process_result_value(self, value: str | None, dialect: Dialect) -> Text | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else Text.load(value)
