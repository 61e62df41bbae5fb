"""The virus scanner: clamd over a unix socket (it is handed the file's descriptor) or over TCP (it is sent the bytes).

A scanner is proved, not believed: it counts only after it found EICAR and named a dated signature database. What it
could not look into is a verdict of its own. Nothing here ever turns silence into "clean".
"""

from __future__ import annotations

import functools
import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

from portal.errors import Unavailable
from portal.inspection.clamd import ANSWER_SECONDS, SCAN_SECONDS, Link, LinkError, Stream, nested_archive
from portal.inspection.scan_result import (
    EXPLANATIONS,
    Report,
    Verdict,
    engine_and_database,
    finds,
    read,
    report_on,
    trouble_in,
    verdict_of,
)
from portal.inspection.spool import disk_in_words
from portal.settings import Settings

__all__ = ["EXPLANATIONS", "Report", "Scan", "Scanner", "Verdict"]

During = Literal["connect", "machine", "scan"]
"""When it was lost: before the file; with it, but not by its fault; or with the file in its hands."""
NO_SIGNATURES = ".waits-for-signatures"
REPORT_SECONDS = 60.0
"""How long a proof holds before the daemon is asked again."""
SILENCE_SECONDS = 5.0
"""How long a daemon that let us wait counts as down without being asked: whoever asks waits as long."""


class Scanner:
    """The scanner of one deployment. Safe to share between threads: every call has a connection of its own."""

    def __init__(self, url: str, *, test_database: bool = False, answer_seconds: float = ANSWER_SECONDS) -> None:
        """``url`` as in PORTAL_SCANNER_URL; with ``test_database`` a private signature database counts as real.

        ``answer_seconds``: how long everything may take but the scan of a file.
        """
        self.url = url
        self._test_database = test_database
        self._answer_seconds = answer_seconds
        self._report: Report | None = None
        self._holds_until = 0.0

    @classmethod
    def at(cls, settings: Settings) -> Scanner:
        """The scanner that these settings name; one per address and process, so that its proof is shared."""
        return _scanner_at(settings.scanner_url, settings.scanner_test_database is not None)

    @property
    def local(self) -> bool:
        """Whether it takes a descriptor instead of the bytes."""
        return self.url.startswith("unix://")

    def report(self) -> Report:
        """What it proved to be, at most a minute ago. One that is down is asked each time, unless that takes long."""
        report = self._report
        if report is None or time.monotonic() >= self._holds_until:
            report = self.prove()
            seconds = SILENCE_SECONDS if report.silent else 0.0 if report.state == "down" else REPORT_SECONDS
            self._report, self._holds_until = report, time.monotonic() + seconds
        return report

    def prove(self) -> Report:
        """Ask it now: its version and database, whether it finds EICAR, whether it speaks of its limits."""
        if self.url == "off":
            words = "The virus scanner is switched off (PORTAL_SCANNER_URL=off). Files are not scanned."
            return Report("off", words, listens=False)
        if self._waits_for_signatures():
            words = "ClamAV has no signatures yet. Files are not scanned until freshclam has fetched some."
            return Report("no_signatures", words, listens=False)
        try:
            engine, database = engine_and_database(self._ask(b"VERSION"))
            eicar, nested = self._ask_about(_eicar()), self._ask_about(nested_archive())
        except (LinkError, OSError) as error:
            words = f"The virus scanner can't be reached at {self.url}: {error}. Start it, or fix the address."
            return Report("down", words, silent=isinstance(error, LinkError) and error.silent)
        if database is None and self._test_database:
            database = "test signatures"
        return report_on(engine, database, eicar=eicar, nested=nested)

    def reload(self) -> Report:
        """Let the daemon read its signatures again, and prove itself. Raises Unavailable when it can't be reached."""
        try:
            self._ask(b"RELOAD")
        except LinkError:
            raise self.lost("connect") from None
        self._report = None
        return self.prove()

    def _waits_for_signatures(self) -> bool:
        """Whether `portal up` has put a note beside the socket that the daemon will come with its first signatures."""
        return self.local and Path(self.url.removeprefix("unix://") + NO_SIGNATURES).exists()

    def takes(self, size_bytes: int) -> bool:
        """Whether it looks into a file of this size: tried with so many zeros, for the doctor. Raises Unavailable."""
        with ExitStack() as closing:
            with disk_in_words():
                zeros = closing.enter_context(tempfile.TemporaryFile())
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

        Raises Unavailable (``scanner_unavailable``; ``during`` is ``scan`` when it died with this file in its hands).
        """
        report = self.report()
        if report.state == "down":
            raise _unavailable("connect")
        if not report.listens:
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
        except LinkError:
            raise self.lost("connect") from None
        with link:
            yield Stream(link)

    def believe(self, answer: str, report: Report, size: int) -> Verdict:
        """Its answer about a file as a verdict. Raises Unavailable where it has trouble of its own.

        "OK" counts only from a daemon that still finds EICAR afterwards: handed a descriptor, clamd answers OK for
        everything as soon as it can't make its temporary folder.
        """
        verdict, trouble = verdict_of(answer, report, size), trouble_in(answer)
        if trouble is None and verdict.result == "clean" and not self._still_finds_eicar():
            trouble = "machine"
        if trouble is not None:
            raise self.lost(trouble)
        return verdict

    def lost(self, during: During) -> Unavailable:
        """Forget the proof: whatever answers next has to prove itself."""
        if self._report is not None and self._report.state != "down":
            self._report = None
        return _unavailable(during)

    def _ask(self, command: bytes) -> str:
        with Link(self.url, self._answer_seconds) as link:
            link.command(command)
            return link.answer()

    def _ask_about(self, content: bytes, patience: float | None = None) -> str:
        """Its answer about a few bytes, which reach it the same way as files do."""
        with Link(self.url, patience or self._answer_seconds) as link:
            if not self.local:
                stream = Stream(link)
                stream.feed(content)
                return stream.finish()
            with _file_of(content) as file:
                link.hand_over(file.fileno())
                return link.answer()

    def _still_finds_eicar(self) -> bool:
        """Asked as patiently as about the file: a daemon with much to do is no reason to scan that file once more."""
        try:
            return finds(*read(self._ask_about(_eicar(), SCAN_SECONDS)))
        except (LinkError, OSError):
            return False


class Scan:
    """One file's scan. This one is of a scanner that is off, or waits for its first signatures: nobody looked."""

    def __init__(self, scanner: Scanner, report: Report) -> None:
        self.scanner = scanner
        self.report = report

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the file, in order."""

    def verdict(self) -> Verdict:
        """What the scanner says, once every byte was fed and the spool is flushed."""
        return Verdict("not_scanned", reason="off" if self.report.state == "off" else "no_signatures")


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
        except LinkError as error:
            raise self.scanner.lost("scan" if error.connected else "connect") from None
        return self.scanner.believe(answer, self.report, os.fstat(self.spool.fileno()).st_size)


class _BytesScan(Scan):
    """The daemon is elsewhere: the bytes are sent while they are read, so that both happen at once."""

    def __init__(self, scanner: Scanner, report: Report, stream: Stream) -> None:
        super().__init__(scanner, report)
        self.stream = stream

    def feed(self, chunk: bytes) -> None:
        """Send it on. Raises Unavailable when the daemon is gone."""
        try:
            self.stream.feed(chunk)
        except LinkError:
            raise self.scanner.lost("scan") from None

    def verdict(self) -> Verdict:
        """End the stream and read the answer. Raises Unavailable when the daemon is gone."""
        try:
            answer = self.stream.finish()
        except LinkError:
            raise self.scanner.lost("scan") from None
        return self.scanner.believe(answer, self.report, self.stream.size)


@functools.cache
def _scanner_at(url: str, test_database: bool) -> Scanner:
    return Scanner(url, test_database=test_database)


def _unavailable(during: During) -> Unavailable:
    detail = {
        "connect": "The virus scanner can't be used right now. The file waits and is scanned as soon as it is back.",
        "machine": "The virus scanner has trouble with its own disk. The file waits and is scanned again.",
        "scan": "The virus scanner failed in the middle of the file. The file waits and is scanned again.",
    }[during]
    return Unavailable(detail, code="scanner_unavailable", during=during)


def _file_of(content: bytes) -> io.FileIO:
    """A few bytes where files are spooled: the daemon's machine may forbid it to read there, and a proof must show it.

    They lie in memory when there is no room: that is no fault of the scanner's, and intake says so itself. Raises
    OSError when even that can't be had.
    """
    with suppress(OSError), ExitStack() as undo:
        file = undo.enter_context(tempfile.TemporaryFile(buffering=0))
        if file.write(content) == len(content):
            undo.pop_all()
            return file
    memory = io.FileIO(os.memfd_create("stowage-proof"), "r+")
    memory.write(content)
    return memory


@functools.cache
def _eicar() -> bytes:
    """The harmless file that every scanner must find."""
    from clamd import EICAR  # here, because the package takes 0.1 s to import: as long as ten of our own modules

    return bytes(EICAR)
