"""Sizes as people write and read them: ``10 GB``, ``1.5 TB``, ``none``. Units are binary: 1 GB is 2**30 bytes.

Numbers are written with the separators of the reader's language, as the Unicode CLDR has them, which Babel carries.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from babel import Locale
from babel.numbers import format_decimal
from flask_babel import get_domain, get_locale, ngettext
from flask_babel import gettext as _

from portal.errors import Invalid

LARGEST = 2**63 - 1  # bytes: what a bigint holds
UNLIMITED = frozenset(("", "none", "no limit", "unlimited", "∞"))
_STEPS = {"": 1, "b": 1, "byte": 1, "bytes": 1}
_STEPS |= {f"{letter}{end}": 1024**power for power, letter in enumerate("kmgtp", 1) for end in ("", "b", "ib")}
_AMOUNT = re.compile(r"([+-]?)([0-9]+(?:[.,][0-9]+)?) ?([a-z]*)")
KB, MB, GB, TB = 1 << 10, 1 << 20, 1 << 30, 1 << 40
_UNITS = ((TB, "TB"), (GB, "GB"), (MB, "MB"), (KB, "KB"))


def N_(text: str) -> str:  # noqa: N802  as gettext's manual names it: pybabel finds the text, which is translated later
    return text


_PATTERNS = ((TB, N_("%(n)s TB")), (GB, N_("%(n)s GB")), (MB, N_("%(n)s MB")), (KB, N_("%(n)s KB")))


def parse(written: str, *, field: str = "limit") -> int | None:
    """Bytes, or None for no limit. Without a unit the number is bytes. Raises ``Invalid`` with words for people."""
    text = " ".join(written.replace("\u00a0", " ").split()).lower()
    if text in UNLIMITED:
        return None
    found = _AMOUNT.fullmatch(text)
    step = _STEPS.get(found[3]) if found else None
    if found is None or step is None:
        detail = _(
            "“%(text)s” is not a size. Write a number and a unit, like 500 MB, 10 GB or 1.5 TB, or none.",
            text=written.strip()[:40],
        )
        raise Invalid(detail, field=field)
    if found[1] == "-":
        raise Invalid(_("A limit can't be negative. Write 0 to stop all uploads, or none."), field=field)
    size = Decimal(found[2].replace(",", ".")) * step
    if size > LARGEST:
        raise Invalid(
            _("That is too much: the most is %(most)s. For no limit, write none.", most=format_size(LARGEST)),
            field=field,
        )
    return int(size)


def from_json(value: Any) -> int | None:
    """A limit as JSON carries it: whole bytes, null, or a text with a unit. Raises ``ValueError`` in plain words."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LARGEST):
        return value
    if isinstance(value, str) and re.search(r"\d\s*[a-zA-Z]", value):
        try:
            return parse(value)
        except Invalid as refusal:
            raise ValueError(refusal.detail) from None
    if isinstance(value, int | float) and not isinstance(value, bool) and value < 0:
        raise ValueError(_("A limit can't be negative. Send 0 to stop all uploads, or null for no limit."))
    if isinstance(value, int | float) and not isinstance(value, bool) and value > LARGEST:
        raise ValueError(_("A limit can't be more than %(most)s bytes. Send null for no limit.", most=LARGEST))
    raise ValueError(_("A limit is a whole number of bytes, a text with a unit like “10 GB”, or null for no limit."))


class SizeFormat:
    """Sizes in the language of the reader, for a page with many: to find language and catalogue takes 50 µs a time."""

    def __init__(self) -> None:
        self._locale = get_locale()
        self._translations = get_domain().get_translations()  # type: ignore[no-untyped-call]  # Flask-Babel has none

    def short(self, size: int) -> str:
        """A number of bytes in the largest unit that it fills, with one decimal where it says something: ``1.5 GB``.

        Sizes below zero keep their sign.
        """
        for step, pattern in _PATTERNS:
            if abs(size) >= step:
                # Of KB, and of MB from 100 on, nobody needs a tenth.
                has_tenths = (step > MB or (step == MB and abs(size) < 100 * MB)) and round(size * 10 / step) % 10 != 0
                written = format_number(size / step, 1 if has_tenths else 0, self._locale)
                return str(self._translations.ugettext(pattern)) % {"n": written}
        return self.exact(size)

    def exact(self, size: int) -> str:
        """The same to the byte."""
        pattern = self._translations.ungettext("%(n)s byte", "%(n)s bytes", size)
        return str(pattern) % {"n": format_number(size, 0, self._locale)}


def format_size(size: int) -> str:
    """One number of bytes, in short: ``10 GB``, ``1.5 GB``, ``438 KB``, ``12 bytes``."""
    return SizeFormat().short(size)


def exact_size(size: int) -> str:
    """One number of bytes, to the byte."""
    return ngettext("%(n)s byte", "%(n)s bytes", size, n=format_number(size, 0, get_locale()))


def format_number(value: float, decimals: int, locale: Locale | None) -> str:
    """A number with exactly so many decimals. Without a request there is no locale: that is English, too."""
    if is_english(locale):
        # As Babel gives it, at a fiftieth of the time: a page has a hundred of them. A float would round above 2**53.
        return f"{value:,.{decimals}f}" if decimals else f"{round(value):,}"
    written: str = format_decimal(value, format="#,##0." + "0" * decimals if decimals else "#,##0", locale=locale)
    return written


def is_english(locale: Locale | None) -> bool:
    """Of no country."""
    return locale is None or (locale.language == "en" and not locale.territory)


def to_edit(size: int | None) -> str:
    """A size as a form shows it for changing: read back by ``parse`` it is the same number of bytes."""
    if size is None:
        return ""
    for unit, name in _UNITS:
        if size >= unit and size * 10 % unit == 0:
            return f"{Decimal(size) / unit:f} {name}"
    return str(size)
