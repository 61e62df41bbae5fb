"""The virus scanner: clamd over a unix socket (it is handed the file's descriptor) or over TCP (it is sent the bytes).

A scanner is proved, not believed: it counts only after it found EICAR and named a dated signature database. What it
could not look into is a verdict of its own. Nothing here ever turns silence into "clean".
"""

from __future__ import annotations

import functools
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO, Literal

from clamd import EICAR, scan_response  # type: ignore[import-untyped]

from portal.assets.clamd_wire import Gone, Link, Stream, nested_archive
from portal.errors import Unavailable
from portal.settings import Settings

Result = Literal["clean", "infected", "not_scanned"]
Reason = Literal["off", "no_signatures", "too_large", "encrypted", "unscannable"]
State = Literal["off", "ready", "no_signatures", "down"]

REPORT_SECONDS = 60.0
"""How long a proof holds before the daemon is asked again."""
UNSPOKEN_LIMIT = 25 * 1024 * 1024
"""Bytes. Debian's MaxFileSize: how far an "OK" is believed of a daemon that stays silent about what it skipped."""

# What a person reads for each reason, in the product's words.
EXPLANATIONS: dict[Reason, str] = {
    "off": "Not scanned: the virus scanner is switched off.",
    "no_signatures": "Not scanned: the virus scanner has no signatures.",
    "too_large": "Not scanned: the file, or what it contains, is larger or deeper than the virus scanner can look into.",
    "encrypted": "Not scanned: the file is encrypted, so the virus scanner can't look inside.",
    "unscannable": "Not scanned: the virus scanner could not read the file.",
}
_EXTENDED = re.compile(r"\([0-9a-f]{32,}:\d+\)$")  # "ExtendedDetectionInfo yes" appends the hash and the size
# Errors that are about the daemon's machine, not about the file: it is worth asking again later.
_TROUBLE_OF_ITS_OWN = re.compile("temporary file|Can't (create|write|open file)|TIMED OUT|Permission denied")


@dataclass(frozen=True)
class Verdict:
    """What the scanner said of one file. ``reason`` is set exactly when the result is ``not_scanned``."""

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
    """What the scanner proved to be. ``speaks_of_limits``: it says so when a file exceeds one, instead of "OK"."""

    state: State
    detail: str
    engine: str | None = None
    database: str | None = None
    speaks_of_limits: bool = False


class Scanner:
    """The scanner of one deployment. Safe to share between threads: every call has a connection of its own."""

    def __init__(self, url: str, *, test_database: bool = False) -> None:
        """``url`` as in PORTAL_SCANNER_URL; with ``test_database`` a private signature database counts as real."""
        self.url = url
        self._test_database = test_database
        self._report: Report | None = None
        self._proved_at = 0.0

    @classmethod
    def at(cls, settings: Settings) -> Scanner:
        """The scanner that these settings name; one per address and process, so that its proof is shared."""
        return _scanner_at(settings.scanner_url, settings.scanner_test_database is not None)

    @property
    def local(self) -> bool:
        """Whether it takes a descriptor instead of the bytes."""
        return self.url.startswith("unix://")

    def report(self) -> Report:
        """What it proved to be, at most a minute ago. A scanner that is down is asked again each time."""
        report = self._report
        if report is None or time.monotonic() - self._proved_at > REPORT_SECONDS:
            report = self.prove()
            self._report, self._proved_at = None if report.state == "down" else report, time.monotonic()
        return report

    def prove(self) -> Report:
        """Ask it now: its version and database, whether it finds EICAR, whether it speaks of its limits."""
        if self.url == "off":
            return Report("off", "The virus scanner is switched off (PORTAL_SCANNER_URL=off). Files are not scanned.")
        try:
            engine, database = _engine_and_database(self._ask(b"VERSION"))
            eicar, deep = _read(self._ask_about(EICAR)), _read(self._ask_about(nested_archive()))
        except Gone as gone:
            return Report(
                "down", f"The virus scanner can't be reached at {self.url}: {gone}. Start it, or fix the address."
            )
        if database is None and self._test_database:
            database = "test signatures"
        return _judge_daemon(engine, database, finds_eicar=_finds(*eicar), speaks_of_limits=deep[0] == "FOUND")

    def takes(self, size_bytes: int) -> bool:
        """Whether it looks into a file of this size: tried with so many zeros, for the doctor. Raises Unavailable."""
        with tempfile.TemporaryFile() as zeros:
            zeros.truncate(size_bytes)
            return self.scan(zeros).reason != "too_large"

    def scan(self, spool: BinaryIO) -> Verdict:
        """Scan a whole local file. Raises Unavailable (``scanner_unavailable``) when it is configured and down."""
        with self.alongside(spool) as scan:
            if isinstance(scan, _BytesScan):
                spool.seek(0)
                while chunk := spool.read(Link.CHUNK):
                    scan.feed(chunk)
            return scan.verdict()

    @contextmanager
    def alongside(self, spool: BinaryIO) -> Iterator[Scan]:
        """A scan that goes with one pass over the bytes: feed it each chunk as it is spooled, then ask the verdict.

        Raises Unavailable (``scanner_unavailable``; ``during`` says whether it died with this file in its hands).
        """
        report = self.report()
        if report.state == "down":
            raise _unavailable("connect")
        if report.state == "off":
            yield Scan(self, report)
            return
        if self.local:
            yield _DescriptorScan(self, report, spool)
            return
        with self._stream() as stream:
            yield _BytesScan(self, report, stream)

    @contextmanager
    def _stream(self) -> Iterator[Stream]:
        try:
            link = Link(self.url)
        except Gone:
            raise self.lost("connect") from None
        with link:
            yield Stream(link)

    def lost(self, during: Literal["connect", "scan"]) -> Unavailable:
        """Forget the proof: whatever answers next has to prove itself."""
        self._report = None
        return _unavailable(during)

    def _ask(self, command: bytes) -> str:
        with Link(self.url) as link:
            link.command(command)
            return link.answer()

    def _ask_about(self, content: bytes) -> str:
        with Link(self.url) as link:
            stream = Stream(link)
            stream.feed(content)
            return stream.finish()


class Scan:
    """One file's scan. This one is of a scanner that is off: it takes everything and says that nobody looked."""

    def __init__(self, scanner: Scanner, report: Report) -> None:
        self.scanner = scanner
        self.report = report

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the file, in order."""

    def verdict(self) -> Verdict:
        """What the scanner says, once every byte was fed and the spool is flushed."""
        return Verdict("not_scanned", reason="off")


class _DescriptorScan(Scan):
    """The daemon reads the spool itself: no byte goes through this process twice."""

    def __init__(self, scanner: Scanner, report: Report, spool: BinaryIO) -> None:
        super().__init__(scanner, report)
        self.spool = spool

    def verdict(self) -> Verdict:
        """Hand over the descriptor. Raises Unavailable when the daemon is gone."""
        try:
            with Link(self.scanner.url) as link:
                link.hand_over(self.spool.fileno())
                answer = link.answer()
        except Gone as gone:
            raise self.scanner.lost("scan" if gone.connected else "connect") from None
        return _verdict(answer, self.report, os.fstat(self.spool.fileno()).st_size)


class _BytesScan(Scan):
    """The daemon is elsewhere: the bytes are sent while they are read, so that both happen at once."""

    def __init__(self, scanner: Scanner, report: Report, stream: Stream) -> None:
        super().__init__(scanner, report)
        self.stream = stream

    def feed(self, chunk: bytes) -> None:
        """Send it on. Raises Unavailable when the daemon is gone."""
        try:
            self.stream.feed(chunk)
        except Gone:
            raise self.scanner.lost("scan") from None

    def verdict(self) -> Verdict:
        """End the stream and read the answer. Raises Unavailable when the daemon is gone."""
        try:
            answer = self.stream.finish()
        except Gone:
            raise self.scanner.lost("scan") from None
        return _verdict(answer, self.report, self.stream.size)


def check(settings: Settings) -> None:
    """Raises Unavailable when a scanner is configured and down."""
    report = Scanner.at(settings).report()
    if report.state == "down":
        raise Unavailable(report.detail, code="scanner_unavailable")


@functools.cache
def _scanner_at(url: str, test_database: bool) -> Scanner:
    return Scanner(url, test_database=test_database)


def _unavailable(during: Literal["connect", "scan"]) -> Unavailable:
    detail = {
        "connect": "The virus scanner is not running. The file waits and is scanned as soon as it is back.",
        "scan": "The virus scanner stopped in the middle of the file. The file waits and is scanned again.",
    }[during]
    return Unavailable(detail, code="scanner_unavailable", during=during)


def _engine_and_database(answer: str) -> tuple[str, str | None]:
    """``ClamAV 1.4.6/27817/Mon Nov 23 10:24:00 2026`` where a dated database is loaded, else ``ClamAV 1.4.6``."""
    engine, _, database = answer.partition("/")
    return engine[:100], database[:100] or None


def _judge_daemon(engine: str, database: str | None, *, finds_eicar: bool, speaks_of_limits: bool) -> Report:
    if database is None or not finds_eicar:
        lack = "no dated signature database" if database is None else "signatures that miss the EICAR test file"
        detail = f"{engine} runs with {lack}: nothing it passes counts as scanned. Run freshclam and restart it."
        return Report("no_signatures", detail, engine, database, speaks_of_limits)
    detail = f"{engine} with signatures {database}."
    if not speaks_of_limits:
        detail += ' It is silent about files above its limits: set "AlertExceedsMax yes" in clamd.conf.'
    return Report("ready", detail, engine, database, speaks_of_limits)


def _read(answer: str) -> tuple[str, str]:
    """Status and what it is about. An answer of another shape is an error of its own."""
    match = scan_response.match(answer)
    if match is None:
        return "ERROR", answer
    return match["status"], _EXTENDED.sub("", match["virus"] or "")


def _finds(status: str, what: str) -> bool:
    """Whether that is a find, and not the name of a reason for not having looked."""
    return status == "FOUND" and not what.startswith(("Heuristics.Limits.Exceeded", "Heuristics.Encrypted"))


def _verdict(answer: str, report: Report, size: int) -> Verdict:
    """One answer of the daemon as a verdict. Raises Unavailable for trouble that is the daemon's own."""
    status, what = _read(answer)
    if status == "ERROR" and _TROUBLE_OF_ITS_OWN.search(answer):
        raise _unavailable("scan")
    reason = _reason_not_scanned(status, what or answer, report, size)
    result: Result = "not_scanned" if reason else "infected" if status == "FOUND" else "clean"
    signature = what if result == "infected" else None
    return Verdict(result, signature, report.engine, report.database, reason)


def _reason_not_scanned(status: str, what: str, report: Report, size: int) -> Reason | None:
    if _finds(status, what):
        return None
    if report.state != "ready":
        return "no_signatures"
    if status == "FOUND":
        return "encrypted" if what.startswith("Heuristics.Encrypted") else "too_large"
    if status == "ERROR":
        return "too_large" if "size limit exceeded" in what else "unscannable"
    return "too_large" if size > UNSPOKEN_LIMIT and not report.speaks_of_limits else None
