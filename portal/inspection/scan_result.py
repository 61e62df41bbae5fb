"""What clamd's answers mean: pure functions from an answer to a verdict on a file and a report on the daemon.

A missing answer is never "clean": only a daemon that was checked counts, and what it did not scan
has a verdict of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from portal.inspection import probe_archives
from portal.texts import Text

ScanStatus = Literal["clean", "infected", "not_scanned"]
ScanReason = Literal["off", "no_signatures", "too_large", "encrypted", "macros", "unscannable"]
ScannerState = Literal["off", "ready", "no_signatures", "down"]
DaemonFailure = Literal["machine", "scan"]

DEFAULT_MAX_FILE_SIZE = 25 * 1024 * 1024
"""Bytes. Debian's MaxFileSize: up to here an "OK" counts of a daemon that does not report what it skipped."""

# What a person reads for each reason, in the product's words.
EXPLANATIONS: dict[ScanReason, Text] = {
    "off": Text("Not scanned: the virus scanner is switched off."),
    "no_signatures": Text("Not scanned: the virus scanner has no signatures."),
    "too_large": Text(
        "Not scanned: the file, or what it contains, is larger or deeper than the virus scanner can see, or takes too "
        "long to scan."
    ),
    "encrypted": Text("Not scanned: the file is encrypted, so the virus scanner can't look inside."),
    "macros": Text("No virus was found, but the file contains macros: programs that an office application may run."),
    "unscannable": Text("Not scanned: the virus scanner can't open the file, or something in it."),
}
# Names that clamd gives to what it noticed without having found a virus. Every other name is a virus.
HEURISTICS: dict[str, ScanReason] = {
    "Heuristics.Limits.Exceeded": "too_large",
    "Heuristics.Encrypted": "encrypted",
    "Heuristics.OLE2.ContainsMacros": "macros",
    "Heuristics.Broken": "unscannable",
}
_EXTENDED = re.compile(r"\([0-9a-f]{32,}:\d+\)$")  # "ExtendedDetectionInfo yes" appends the hash and the size
# About the daemon's own machine: its disk is full, its temporary folder is gone, it may not read or open any more.
_MACHINE_FAILURE = re.compile("temporary file|Can't (create|write|open file)|Permission denied")
_TIMED_OUT = "TIMED OUT"


@dataclass(frozen=True)
class ScanVerdict:
    """The scan result of one file. ``reason`` is set when it is ``not_scanned``, or clean with macros."""

    result: ScanStatus
    signature: str | None = None
    engine: str | None = None
    database: str | None = None
    reason: ScanReason | None = None

    @property
    def explanation(self) -> Text | None:
        """The reason in plain words, or None."""
        return EXPLANATIONS[self.reason] if self.reason else None


@dataclass(frozen=True)
class ScannerReport:
    """What a check of the scanner showed.

    reports_limits: it says so when a file exceeds one of its limits, instead of "OK".
    has_daemon: there is a daemon that can scan files. timed_out: it accepted a connection and sent no answer.
    readable: the forms of archives that it unpacks, by the names of `probe_archives`.
    """

    state: ScannerState
    detail: Text
    engine: str | None = None
    database: str | None = None
    reports_limits: bool = False
    has_daemon: bool = True
    timed_out: bool = False
    readable: frozenset[str] = frozenset()


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


def report_on(
    engine: str, database: str | None, *, eicar: str | None, nested: str | None, readable: frozenset[str]
) -> ScannerReport:
    """What a daemon shows by what it finds in EICAR and in an archive that is nested too deep (None: "OK").

    readable: the forms of archives in which it found EICAR.

    One without a dated database scans nothing; one that has it and still misses EICAR is broken.
    """
    limits = nested is not None
    if database is None:
        detail = Text(
            "%(engine)s has no dated signature database, so files count as not scanned. Run freshclam.", engine=engine
        )
        return ScannerReport("no_signatures", detail, engine, database, limits)
    if not is_detection(eicar):
        detail = Text(
            "%(engine)s does not find the EICAR test file. Check its log, its temporary folder and its limits.",
            engine=engine,
        )
        return ScannerReport("down", detail, engine, database, limits)
    details = [Text("%(engine)s with signatures %(database)s.", engine=engine, database=database)]
    if not limits:
        details.append(Text('It does not report files above its limits: set "AlertExceedsMax yes" in clamd.conf.'))
    missing = probe_archives.describe_unreadable(readable)
    if missing:
        details.append(Text("It can't unpack %(formats)s: such files count as not scanned.", formats=missing))
    return ScannerReport("ready", Text.join(*details), engine, database, limits, readable=readable)


def report_failure(engine: str, database: str | None, error: str) -> ScannerReport:
    """A daemon that answers its check with an error: with its disk full clamd still finds EICAR, which it reads where
    it lies, and can't unpack the archive."""
    if database is None:
        return report_on(engine, database, eicar=None, nested=None, readable=frozenset())
    detail = Text(
        "%(engine)s can't work: %(error)s. Check the disk and the temporary folder of its machine.",
        engine=engine,
        error=error,
    )
    return ScannerReport("down", detail, engine, database)


def is_detection(name: str | None) -> bool:
    """Whether a name in clamd's answer is a virus, and not a reason for skipping the file."""
    return name is not None and reason_for(name) is None


def reason_for(name: str) -> ScanReason | None:
    """The reason that a heuristic's name stands for, or None for the name of a virus."""
    return next((reason for prefix, reason in HEURISTICS.items() if name.startswith(prefix)), None)


def daemon_failure(error: str) -> DaemonFailure | None:
    """Why a file has to be scanned again later: the daemon's ``machine``, or the ``scan``, which it gave up.

    None: the error is about the file.
    """
    if _MACHINE_FAILURE.search(error):
        return "machine"
    return "scan" if _TIMED_OUT in error else None


def verdict_of(name: str | None, report: ScannerReport, size: int) -> ScanVerdict:
    """clamd's answer about a file of ``size`` bytes (a name, or None for "OK") in the light of the daemon's report."""
    if is_detection(name):
        assert name is not None
        return ScanVerdict("infected", _EXTENDED.sub("", name), report.engine, report.database)
    if report.state != "ready":
        return not_scanned("no_signatures", report)
    if name is not None:
        reason = reason_for(name)
        result: ScanStatus = "clean" if reason == "macros" else "not_scanned"
        return ScanVerdict(result, None, report.engine, report.database, reason)
    # A file above MaxFileSize is answered "OK" unscanned where AlertExceedsMax is off.
    if size > DEFAULT_MAX_FILE_SIZE and not report.reports_limits:
        return not_scanned("too_large", report)
    return ScanVerdict("clean", None, report.engine, report.database)


def not_scanned(reason: ScanReason, report: ScannerReport) -> ScanVerdict:
    """The verdict on a file that this daemon did not look into; its lack of signatures outweighs the other reasons."""
    known: ScanReason = reason if report.state == "ready" else "no_signatures"
    return ScanVerdict("not_scanned", None, report.engine, report.database, known)
