"""The virus scanner's pages: its card, the scan of all files that is running, and the last ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import ngettext

from portal.assets.models import Rescan
from portal.database import now
from portal.inspection.scanner_status import SavedReport
from portal.operations.presenters import Card, Confirmation, Fact, scanner_mark
from portal.operations.scanner import ScannerOverview
from portal.web.state_mark import StateMark


def scanner_card(overview: ScannerOverview) -> Card:
    """The virus scanner for operators and for the admins of a tenant."""
    report = overview.report
    facts = _report_facts(report) if report is not None else []
    note = _("They are scanned as soon as possible.") if overview.unscanned else ""
    unscanned = ngettext("%(num)s file", "%(num)s files", overview.unscanned)
    facts.append(Fact(_("Not scanned"), unscanned, note=note))
    return Card("scanner", _("Scanner"), scanner_mark(report), facts)


def _report_facts(report: SavedReport) -> list[Fact]:
    version = _("version %(n)s", n=report.version) if report.version else report.database or "–"
    facts = [Fact(_("Engine"), report.engine or "–"), Fact(_("Signatures"), version, report.signatures_at)]
    if report.signatures_at is not None:
        days = ngettext("%(num)s day", "%(num)s days", (now() - report.signatures_at).days)
        stale = _("ClamAV publishes new ones every day") if report.is_stale else ""
        facts.append(Fact(_("Age of the signatures"), days, note=stale))
    if report.state == "ready":
        facts.append(Fact(_("EICAR test"), _("found"), report.proved_at))
        facts.append(Fact(_("Details"), str(report.detail)))
    else:
        facts.append(Fact(_("EICAR test"), str(report.detail), report.proved_at))
    return facts


@dataclass(frozen=True)
class RunningScan:
    """The scan of all files that is going on."""

    text: str
    done: int
    total: int
    stop: Confirmation


def running_scan(rescan: Rescan | None) -> RunningScan | None:
    """Its progress, and what the button that stops it asks."""
    if rescan is None:
        return None
    text = _(
        "%(done)s of %(total)s files, %(found)s infected", done=rescan.done, total=rescan.total, found=rescan.infected
    )
    question = _(
        "%(done)s of %(total)s files were scanned. A new scan starts from the beginning.",
        done=rescan.done,
        total=rescan.total,
    )
    # Files that are added or restored while it runs can make more of them than were counted at the start.
    return RunningScan(
        text, min(rescan.done, rescan.total), rescan.total or 1, Confirmation(_("Stop the scan?"), question, _("Stop"))
    )


@dataclass(frozen=True)
class ScanRow:
    """A scan of all files; ``state`` is None once it has ended by itself."""

    rescan: Rescan
    reason: str
    progress: str
    state: StateMark | None


def scan_rows(rescans: Sequence[Rescan]) -> list[ScanRow]:
    """The last scans of all files."""
    return [_scan_row(each) for each in rescans]


def _scan_row(rescan: Rescan) -> ScanRow:
    state = None
    if rescan.stopped:
        state = StateMark("warn", "player-pause", _("Stopped"))
    elif rescan.finished_at is None:
        state = StateMark("busy", "loader-2", _("Running"), spins=True)
    reason = _("large signature update") if rescan.cause == "signatures" else _("started by an operator")
    return ScanRow(rescan, reason, _("%(done)s of %(total)s", done=rescan.done, total=rescan.total), state)
