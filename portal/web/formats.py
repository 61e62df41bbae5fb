"""How pages write sizes, moments and file names: one rule each, for presenters and as filters of the templates."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

from flask import Flask
from flask_babel import gettext, ngettext

KB, MB, GB, TB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
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


def size(count: int) -> str:
    """A number of bytes in binary steps, with one decimal where it says something."""
    words: str
    if count >= TB:
        words = gettext("%(n)s TB", n=f"{count / TB:.1f}")
    elif count >= GB:
        words = gettext("%(n)s GB", n=f"{count / GB:.1f}")
    elif count >= MB:
        whole = count >= 100 * MB or count % MB == 0
        words = gettext("%(n)s MB", n=f"{count / MB:.0f}" if whole else f"{count / MB:.1f}")
    elif count >= KB:
        words = gettext("%(n)s KB", n=f"{count / KB:.0f}")
    else:
        words = ngettext("%(num)s byte", "%(num)s bytes", count)
    return words


def exact_size(count: int) -> str:
    """The same to the byte."""
    words: str = ngettext("%(n)s byte", "%(n)s bytes", count, n=f"{count:,}")
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
    return Moment(f"{at:%Y-%m-%dT%H:%M:%SZ}", f"{at:%Y-%m-%d %H:%M:%S} UTC", f"{at:%d %b %Y, %H:%M}")


def install(app: Flask) -> None:
    """Give the templates these as filters."""
    app.add_template_filter(size)
    app.add_template_filter(exact_size)
    app.add_template_filter(visible)
    app.add_template_filter(file_name)
    app.add_template_filter(moment)
