"""Sizes as people write and read them: ``10 GB``, ``1.5 TB``, ``none``. Units are binary: 1 GB is 2**30 bytes."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

from babel.numbers import format_decimal
from flask_babel import get_locale, ngettext
from flask_babel import gettext as _

from portal.errors import Invalid

LARGEST = 2**63 - 1  # bytes: what a bigint holds
UNLIMITED = frozenset(("", "none", "no limit", "unlimited", "∞"))
_STEPS = {"": 1, "b": 1, "byte": 1, "bytes": 1}
_STEPS |= {f"{letter}{end}": 1024**power for power, letter in enumerate("kmgtp", 1) for end in ("", "b", "ib")}
_AMOUNT = re.compile(r"([+-]?)([0-9]+(?:[.,][0-9]+)?) ?([a-z]*)")
_SHOWN = ((1 << 40, "TB"), (1 << 30, "GB"), (1 << 20, "MB"), (1 << 10, "KB"))


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


def format_size(size: int) -> str:
    """A size for people in their language, at most one decimal; sizes below zero keep their sign."""
    for unit, name in _SHOWN:
        if abs(size) >= unit:
            # Outside of a request there is no locale, and Babel would take the machine's.
            number = format_decimal(round(size / unit, 1), locale=get_locale() or "en")
            return _("%(number)s %(unit)s", number=number, unit=name)
    return ngettext("%(num)s byte", "%(num)s bytes", size)


def to_edit(size: int | None) -> str:
    """A size as a form shows it for changing: read back by ``parse`` it is the same number of bytes."""
    if size is None:
        return ""
    for unit, name in _SHOWN:
        if size >= unit and size * 10 % unit == 0:
            return f"{Decimal(size) / unit:f} {name}"
    return str(size)
