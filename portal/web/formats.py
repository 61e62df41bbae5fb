"""How pages write numbers, sizes, moments and file names, in the reader's language.

One rule each, for presenters and as filters of the templates. Separators, order and names of months are those of the
Unicode CLDR, which Babel carries.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, NamedTuple

from babel import Locale
from babel.dates import format_skeleton, format_time
from babel.numbers import format_decimal
from flask import Flask
from flask_babel import get_locale, gettext, lazy_gettext, ngettext

KB, MB, GB, TB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
_STEPS: tuple[tuple[int, Any], ...] = (
    (TB, lazy_gettext("%(n)s TB")),
    (GB, lazy_gettext("%(n)s GB")),
    (MB, lazy_gettext("%(n)s MB")),
    (KB, lazy_gettext("%(n)s KB")),
)
LONGEST_EXTENSION = 5  # characters; what is longer is shortened like the rest of the name
# Embeddings, overrides and isolates turn the direction of what follows (Unicode UAX #9): "gepj.exe" would be shown as
# "exe.jpeg". New names can't contain them, older rows and names inside of archives may.
_VISIBLE = str.maketrans(dict.fromkeys("\u200f\u202a\u202b\u202d\u202e\u2066\u2067\u2068", "\ufffd"))


class FileName(NamedTuple):
    """A name to be shown in two parts: where there is little space the stem is shortened, the extension stays."""

    whole: str
    stem: str
    extension: str


class Moment(NamedTuple):
    """A moment for a ``<time>`` element: for machines, exactly (on hover), and in short. Browsers make it local."""

    iso: str
    exact: str
    short: str


class Units:
    """Sizes in one language, for a page with many of them: the units are translated once."""

    def __init__(self) -> None:
        self._steps = [(step, str(pattern)) for step, pattern in _STEPS]
        self._exact: str = gettext("%(n)s B")
        self._locale = get_locale()

    def short(self, count: int) -> str:
        """A number of bytes in binary steps, with one decimal where it says something."""
        step, pattern = next((each for each in self._steps if count >= each[0]), (1, self._exact))
        return pattern % {"n": _in_steps(count, step, self._locale)}

    def exact(self, count: int) -> str:
        """The same to the byte."""
        return self._exact % {"n": _written(count, 0, self._locale)}


def number(value: float, decimals: int = 0) -> str:
    """A number with the reader's separators, and exactly so many decimals."""
    return _written(value, decimals, get_locale())


def _written(value: float, decimals: int, locale: Locale | None) -> str:
    if _is_english(locale):
        return f"{value:,.{decimals}f}"  # as Babel gives it, at a fiftieth of the time: a page has a hundred of them
    written: str = format_decimal(value, format="#,##0." + "0" * decimals if decimals else "#,##0", locale=locale)
    return written


def _is_english(locale: Locale | None) -> bool:
    """Of no country. Outside of requests there is no locale: that is English, too."""
    return locale is None or (locale.language == "en" and not locale.territory)


def size(count: int) -> str:
    """One number of bytes, in short."""
    for step, pattern in _STEPS:
        if count >= step:
            return str(pattern) % {"n": _in_steps(count, step, get_locale())}
    words: str = ngettext("%(num)s byte", "%(num)s bytes", count)
    return words


def _in_steps(count: int, step: int, locale: Locale | None) -> str:
    decimal = step >= GB or (step == MB and count < 100 * MB and count % MB)
    return _written(count / step, 1 if decimal else 0, locale)


def exact_size(count: int) -> str:
    """One number of bytes, to the byte."""
    words: str = ngettext("%(n)s byte", "%(n)s bytes", count, n=number(count))
    return words


def visible(name: str) -> str:
    """A name with a mark in place of each character that would turn the reading direction."""
    return name.translate(_VISIBLE)


def file_name(name: str) -> FileName:
    """The visible name and its two parts."""
    whole = visible(name).strip()
    dot = whole.rfind(".")
    cut = dot if dot > 0 and len(whole) - dot - 1 <= LONGEST_EXTENSION else len(whole)
    return FileName(whole, whole[:cut], whole[cut:])


def moment(at: datetime) -> Moment:
    """An aware moment, in UTC."""
    at = at.astimezone(UTC)
    return Moment(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S} UTC", _short_moment(at))


def _short_moment(at: datetime) -> str:
    locale = get_locale()
    if _is_english(locale):
        return f"{at:%d %b %Y, %H:%M}"  # day first and 24 hours, as English is read outside of the United States
    day = format_skeleton("yMMMd", at, locale=locale)
    return f"{day}, {format_time(at, 'short', locale=locale)}"


def install(app: Flask) -> None:
    """Give the templates these as filters."""
    app.add_template_filter(number)
    app.add_template_filter(size)
    app.add_template_filter(exact_size)
    app.add_template_filter(visible)
    app.add_template_filter(file_name)
    app.add_template_filter(moment)
