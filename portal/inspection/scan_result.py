"""What clamd's answers mean: pure functions from its words to a verdict on a file and a report on the daemon.

Nothing here ever turns silence into "clean": only a daemon that proved itself is believed, and what it did not look
into is a verdict of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

Result = Literal["clean", "infected", "not_scanned"]
Reason = Literal["off", "no_signatures", "too_large", "encrypted", "macros", "unscannable"]
State = Literal["off", "ready", "no_signatures", "down"]
Trouble = Literal["machine", "scan"]

UNSPOKEN_LIMIT = 25 * 1024 * 1024
"""Bytes. Debian's MaxFileSize: how far an "OK" is believed of a daemon that stays silent about what it skipped."""

# What a person reads for each reason, in the product's words.
EXPLANATIONS: dict[Reason, str] = {
    "off": "Not scanned: the virus scanner is switched off.",
    "no_signatures": "Not scanned: the virus scanner has no signatures.",
    "too_large": "Not scanned: the file, or what it contains, is larger or deeper than the virus scanner can see.",
    "encrypted": "Not scanned: the file is encrypted, so the virus scanner can't look inside.",
    "macros": "Nothing was found, but the file contains macros: programs that an office application may run.",
    "unscannable": "Not scanned: the virus scanner could not read the file.",
}
# Names that clamd gives to what it noticed without having found anything. Every other name is a find.
NOTICES: dict[str, Reason] = {
    "Heuristics.Limits.Exceeded": "too_large",
    "Heuristics.Encrypted": "encrypted",
    "Heuristics.OLE2.ContainsMacros": "macros",
    "Heuristics.Broken": "unscannable",
}
_EXTENDED = re.compile(r"\([0-9a-f]{32,}:\d+\)$")  # "ExtendedDetectionInfo yes" appends the hash and the size
# About the daemon's own machine: its disk is full, its temporary folder is gone, it may not read or open any more.
_TROUBLE = re.compile("temporary file|Can't (create|write|open file)|Permission denied")
_GAVE_UP = "TIMED OUT"


@dataclass(frozen=True)
class Verdict:
    """What the scanner said of one file. ``reason`` is set when it is ``not_scanned``, or clean with macros."""

    result: Result
    signature: str | None = None
    engine: str | None = None
    database: str | None = None
    reason: Reason | None = None

    @property
    def explanation(self) -> str | None:
        """The reason in plain words, or None."""
        return EXPLANATIONS[self.reason] if self.reason else None


@dataclass(frozen=True)
class Report:
    """What the scanner proved to be. ``speaks_of_limits``: it says so when a file exceeds one, instead of "OK".

    ``listens``: there is a daemon that can be asked about files. ``silent``: it let us wait in vain.
    """

    state: State
    detail: str
    engine: str | None = None
    database: str | None = None
    speaks_of_limits: bool = False
    listens: bool = True
    silent: bool = False


def engine_and_database(answer: str) -> tuple[str, str | None]:
    """``ClamAV 1.4.6/27817/Mon Nov 23 10:24:00 2026`` where a dated database is loaded, else ``ClamAV 1.4.6``."""
    engine, _, database = answer.partition("/")
    return engine[:100], database[:100] or None


def signatures_of(database: str | None) -> tuple[int | None, datetime | None]:
    """Number and date of a signature database as the daemon writes them: ``27817/Mon Nov 23 10:24:00 2026``."""
    number, _, date = (database or "").partition("/")
    try:
        made_at = datetime.strptime(date.strip(), "%a %b %d %H:%M:%S %Y").replace(tzinfo=UTC)
    except ValueError:
        made_at = None
    return int(number) if number.isdecimal() else None, made_at


def report_on(engine: str, database: str | None, *, eicar: str, nested: str) -> Report:
    """What a daemon proves by its answers about EICAR and an archive that is nested too deep.

    One without a dated database scans nothing; one that has it and still misses EICAR is broken. So is one that could
    not unpack the archive: with its disk full clamd still finds EICAR, which it reads where it lies.
    """
    limits = read(nested)[0] == "FOUND"
    if database is None:
        detail = f"{engine} has no dated signature database: nothing it passes counts as scanned. Run freshclam."
        return Report("no_signatures", detail, engine, database, limits)
    trouble = next((answer for answer in (eicar, nested) if trouble_in(answer)), None)
    if trouble is not None:
        detail = f"{engine} can't work: {trouble}. Look at the disk and the temporary folder of its machine."
        return Report("down", detail, engine, database, limits)
    if not finds(*read(eicar)):
        detail = f"{engine} misses the EICAR test file. Look at its log, its temporary folder and its limits."
        return Report("down", detail, engine, database, limits)
    detail = f"{engine} with signatures {database}."
    if not limits:
        detail += ' It is silent about files above its limits: set "AlertExceedsMax yes" in clamd.conf.'
    return Report("ready", detail, engine, database, limits)


def read(answer: str) -> tuple[str, str]:
    """Status and what it is about. An answer of another shape is an error of its own."""
    from clamd import scan_response  # here, because the package takes 0.1 s to import

    match = scan_response.match(answer)
    if match is None:
        return "ERROR", answer
    return match["status"], _EXTENDED.sub("", match["virus"] or "")


def finds(status: str, what: str) -> bool:
    """Whether that is a find, and not the name of a reason for not having looked."""
    return status == "FOUND" and notice(what) is None


def notice(what: str) -> Reason | None:
    """The reason that such a name stands for, or None for the name of a virus."""
    return next((reason for name, reason in NOTICES.items() if what.startswith(name)), None)


def trouble_in(answer: str) -> Trouble | None:
    """Why the file has to be scanned again later: the daemon's ``machine``, or the ``scan``, of which it grew tired."""
    if read(answer)[0] != "ERROR":
        return None
    if _TROUBLE.search(answer):
        return "machine"
    return "scan" if _GAVE_UP in answer else None


def verdict_of(answer: str, report: Report, size: int) -> Verdict:
    """One answer about a file of ``size`` bytes as a verdict, in the light of what the daemon proved to be."""
    status, what = read(answer)
    if finds(status, what):
        return Verdict("infected", what, report.engine, report.database)
    reason = _reason(status, what or answer, report, size)
    result: Result = "clean" if reason in (None, "macros") else "not_scanned"
    return Verdict(result, None, report.engine, report.database, reason)


def _reason(status: str, what: str, report: Report, size: int) -> Reason | None:
    """Why it does not count as scanned, or what else was noticed."""
    if report.state != "ready":
        return "no_signatures"
    if status == "FOUND":
        return notice(what)
    if status == "ERROR":
        return "too_large" if "size limit exceeded" in what else "unscannable"
    return "too_large" if size > UNSPOKEN_LIMIT and not report.speaks_of_limits else None
