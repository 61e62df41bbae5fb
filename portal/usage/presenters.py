"""Usage as the pages show it: parts and trends in words, the columns and filters of the list, open requests."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from flask import url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from portal.quotas.requests import RequestDetails
from portal.sizes import format_size
from portal.tenancy.service import Member
from portal.usage.forecast import Outlook
from portal.usage.workspaces import Summary, View

PART_NAMES = {
    "original": _l("Files"),
    "trash": _l("Trash"),
    "quarantine": _l("Quarantine"),
    "derived": _l("Previews"),
    "staging": _l("Running uploads"),
    "tmp": _l("Temporary"),
}
SPEEDS = {"low": _l("Growing slowly"), "moderate": _l("Growing moderately"), "high": _l("Growing fast")}
# Column, its heading, its CSS classes; names and dates begin with the first, sizes with the largest.
COLUMNS = (
    ("name", _l("Workspace"), ""),
    ("used", _l("Used"), "text-end"),
    ("limit", _l("Limit"), ""),
    ("share", _l("Share of its limit"), "quotas-share"),
    ("change", _l("30 days"), "mid-only"),
    ("full", _l("Full"), "text-end mid-only"),
)
ASCENDING = ("name", "full")
FILTERS = (
    ("", _l("All")),
    ("near", _l("Near the limit")),
    ("full", _l("Full")),
    ("growing", _l("Growing")),
    ("unlimited", _l("Without a limit")),
)


@dataclass(frozen=True)
class Column:
    """The heading of a column; ``order``: how the list is sorted by it now, None: by another column."""

    key: str
    text: str
    css_class: str
    url: str
    order: str | None


@dataclass(frozen=True)
class Request:
    """An open request for space. ``approve_label`` None: the workspace has no limit that could be raised."""

    id: UUID
    details: RequestDetails
    usage: str
    approve_label: str | None


def columns(member: Member, view: View) -> dict[str, Column]:
    """The headings of the list by key; each links to the list sorted by it, the present one to the reverse order."""
    found = {}
    for key, text, css_class in COLUMNS:
        is_sorted = view.sort == key
        descending = (key not in ASCENDING) != view.reverse
        url = url_for(
            "usage.index",
            tenant_slug=member.tenant_slug,
            sort=f"-{key}" if is_sorted and not view.reverse else key,
            level=view.level or None,
            q=view.q or None,
        )
        order = ("descending" if descending else "ascending") if is_sorted else None
        found[key] = Column(key, str(text), css_class, url, order)
    return found


def filters() -> list[tuple[str, str]]:
    """The choices above the list."""
    return [(key, str(text)) for key, text in FILTERS]


def request_row(details: RequestDetails) -> Request:
    """What an administrator decides about."""
    used = format_size(details.used_bytes + details.reserved_bytes)
    if details.limit_bytes is None:
        usage = _("%(used)s used, no limit of its own: the space of the tenant is full", used=used)
        return Request(details.id, details, usage, None)
    usage = _("%(used)s of %(limit)s used", used=used, limit=format_size(details.limit_bytes))
    label = _("Approve %(size)s", size=format_size(details.requested_bytes))
    return Request(details.id, details, usage, label)


def over_note(whole: Summary) -> str | None:
    """What to know about the limits of the workspaces together; None: nothing."""
    if not whole.over_bytes:
        return None
    return _(
        "The limits of the workspaces add up to %(promised)s, which is %(over)s more than the limit of the tenant. "
        "That is allowed; the limit of the tenant applies in any case.",
        promised=format_size(whole.promised_bytes),
        over=format_size(whole.over_bytes),
    )


def outlook_text(outlook: Outlook, limit_bytes: int | None) -> str:
    """A trend in sentences."""
    if outlook.trend is None:
        return ngettext(
            "There is %(num)s full day of data; a trend needs 7.",
            "There are %(num)s full days of data; a trend needs 7.",
            outlook.data_points,
        )
    if outlook.trend == "stable":
        return _("Stable over %(days)s days.", days=outlook.data_points)
    growth = _(
        "%(speed)s: about %(size)s per day. In 30 days, use will probably be between %(low)s and %(high)s.",
        speed=SPEEDS[outlook.trend],
        size=format_size(outlook.growth_bytes or 0),
        low=format_size(outlook.low_bytes or 0),
        high=format_size(outlook.high_bytes or 0),
    )
    end = _end(outlook, limit_bytes)
    return f"{growth} {end}" if end else growth


def _end(outlook: Outlook, limit_bytes: int | None) -> str | None:
    if outlook.full_on is None or outlook.full_earliest is None:
        return None if limit_bytes is None else _("It will not be full within ten years.")
    day, first = outlook.full_on.isoformat(), outlook.full_earliest.isoformat()
    if outlook.full_latest is None:
        return _("At this rate it is full on %(day)s (%(first)s at the earliest, perhaps never).", day=day, first=first)
    if outlook.full_latest == outlook.full_earliest:
        return _("At this rate it is full on %(day)s.", day=day)
    last = outlook.full_latest.isoformat()
    return _("At this rate it is full on %(day)s (between %(first)s and %(last)s).", day=day, first=first, last=last)
