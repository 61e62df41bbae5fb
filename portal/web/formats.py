"""How pages write numbers, sizes, moments and file names, in the reader's language.

One rule each, for presenters and as filters of the templates. Separators, order and names of months are those of the
Unicode CLDR, which Babel carries. Sizes are those of ``portal.sizes``.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from babel.dates import format_skeleton, format_time
from babel.numbers import format_percent
from flask import Flask
from flask_babel import get_locale

from portal.sizes import exact_size, format_number, format_size, is_english

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


def number(value: float, decimals: int = 0) -> str:
    """A number with the reader's separators, and exactly so many decimals."""
    return format_number(value, decimals, get_locale())


def percent(value: float, decimals: int = 0) -> str:
    """A share of 100 with its sign, as the reader's language writes it: ``80%``, ``80 %``."""
    locale = get_locale()
    if locale is None or is_english(locale):
        return f"{value:,.{decimals}f}%"
    places = "." + "0" * decimals if decimals else ""
    pattern = locale.percent_formats[None].pattern
    written: str = format_percent(value / 100, format=pattern.replace("#,##0", f"#,##0{places}"), locale=locale)
    return written


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
    if is_english(locale):
        return f"{at:%d %b %Y, %H:%M}"  # day first and 24 hours, as English is read outside of the United States
    day = format_skeleton("yMMMd", at, locale=locale)
    return f"{day}, {format_time(at, 'short', locale=locale)}"


def install(app: Flask) -> None:
    """Give the templates these as filters."""
    app.add_template_filter(number)
    app.add_template_filter(percent)
    app.add_template_filter(format_size, "size")
    app.add_template_filter(exact_size)
    app.add_template_filter(visible)
    app.add_template_filter(file_name)
    app.add_template_filter(moment)
