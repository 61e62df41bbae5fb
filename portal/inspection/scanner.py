"""The virus scanner: clamd over a unix socket (it is given the file's descriptor) or over TCP (it is sent the bytes).

A scanner is checked before it counts: it is used only after it found EICAR and named a dated signature database.
A file that it could not scan has a result of its own. A missing answer is never "clean".
"""

from __future__ import annotations

import functools
import io
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Literal

import clamd

from portal.errors import Unavailable
from portal.inspection import probe_archives, scan_result
from portal.inspection.clamd import ANSWER_SECONDS, SCAN_SECONDS, ClamdClient, nested_archive
from portal.inspection.scan_result import ScannerReport, ScanVerdict
from portal.inspection.spool import spool_errors
from portal.settings import Settings
from portal.texts import Text

log = logging.getLogger(__name__)

During = Literal["connect", "machine", "scan"]
"""When the scanner failed: before the file; with it, but not because of it; or while it was scanning the file."""
NO_SIGNATURES = ".waits-for-signatures"
REPORT_SECONDS = 60.0
"""How long a report counts before the daemon is checked again."""
TIMED_OUT_SECONDS = 5.0
"""How long a daemon that did not answer in time counts as down without a new check: each check waits as long."""


class Scanner:
    """The scanner of one deployment. Safe to share between threads: every call has a connection of its own."""

    def __init__(
        self,
        url: str,
        *,
        test_database: bool = False,
        answer_seconds: float = ANSWER_SECONDS,
        scan_seconds: float = SCAN_SECONDS,
    ) -> None:
        """``url`` as in PORTAL_SCANNER_URL; with ``test_database`` a private signature database counts as real.

        ``scan_seconds``: how long the scan of a file may take, ``answer_seconds``: everything else.
        """
        self.url = url
        self.scan_seconds = scan_seconds
        self._test_database = test_database
        self._answer_seconds = answer_seconds
        self._report: ScannerReport | None = None
        self._report_until = 0.0

    @classmethod
    def at(cls, settings: Settings) -> Scanner:
        """The scanner that these settings name; one per address and process, so that its report is shared."""
        return _scanner_at(settings.scanner_url, settings.scanner_test_database is not None)

    @property
    def is_local(self) -> bool:
        """Whether it takes a descriptor instead of the bytes."""
        return self.url.startswith("unix://")

    def report(self) -> ScannerReport:
        """The last check, at most a minute old. One that is down is checked each time, unless that takes long."""
        report = self._report
        if report is None or time.monotonic() >= self._report_until:
            report = self._check(self._report)
            seconds = TIMED_OUT_SECONDS if report.timed_out else 0.0 if report.state == "down" else REPORT_SECONDS
            self._report, self._report_until = report, time.monotonic() + seconds
        return report

    def check(self) -> ScannerReport:
        """Check it now: version, database, whether it finds EICAR, what it unpacks, whether it reports limits."""
        return self._check(None)

    def _check(self, last: ScannerReport | None) -> ScannerReport:
        if self.url == "off":
            detail = Text("The virus scanner is switched off (PORTAL_SCANNER_URL=off). Files are not scanned.")
            return ScannerReport("off", detail, has_daemon=False)
        if self._waits_for_signatures():
            detail = Text("ClamAV has no signatures yet. Files are not scanned until freshclam has downloaded some.")
            return ScannerReport("no_signatures", detail, has_daemon=False)
        try:
            return self._ask(last)
        except (clamd.ClamdError, OSError) as error:
            detail = Text(
                "The virus scanner can't be reached at %(url)s: %(error)s. Start it, or correct the address.",
                url=self.url,
                error=str(error),
            )
            return ScannerReport("down", detail, timed_out=isinstance(error.__cause__, TimeoutError))

    def _ask(self, last: ScannerReport | None) -> ScannerReport:
        version = ClamdClient(self.url, self._answer_seconds).version()
        engine, database = scan_result.engine_and_database(version)
        if database is None and self._test_database:
            database = "test signatures"
        try:
            eicar = self._scan_bytes(clamd.EICAR, self._answer_seconds)
            nested = self._scan_bytes(nested_archive(), self._answer_seconds)
            # What a daemon unpacks does not change while it runs; after it was unavailable it is tested again.
            known = last is not None and last.state == "ready" and last.engine == engine
            readable = last.readable if last is not None and known else self._readable()
        except clamd.ResponseError as error:
            return scan_result.report_failure(engine, database, str(error).strip())
        return scan_result.report_on(engine, database, eicar=eicar, nested=nested, readable=readable)

    def _readable(self) -> frozenset[str]:
        readable = frozenset(
            form
            for form, archive in probe_archives.archives().items()
            if scan_result.is_detection(self._scan_bytes(archive, self._answer_seconds))
        )
        if missing := probe_archives.describe_unreadable(readable):
            log.warning("scanner: it can't unpack %s: such files count as not scanned", missing.english)
        return readable

    def reload(self) -> ScannerReport:
        """Let the daemon read its signatures again, and check it. Raises Unavailable when it can't be reached."""
        try:
            ClamdClient(self.url, self._answer_seconds).reload()
        except clamd.ClamdError:
            raise self.unavailable("connect") from None
        self._report = None
        return self.check()

    def _waits_for_signatures(self) -> bool:
        """Whether `portal up` has put a file beside the socket: the daemon starts with its first signatures."""
        return self.is_local and Path(self.url.removeprefix("unix://") + NO_SIGNATURES).exists()

    def accepts(self, size_bytes: int) -> bool:
        """Whether it looks into a file of this size: tried with so many zeros, for the doctor. Raises Unavailable."""
        with ExitStack() as closing:
            with spool_errors():
                zeros = closing.enter_context(tempfile.TemporaryFile())
                zeros.truncate(size_bytes)
            return self.scan(zeros).reason != "too_large"

    def scan(self, spool: BinaryIO) -> ScanVerdict:
        """Scan a whole local file. Raises Unavailable (``scanner_unavailable``) when it is configured and down."""
        with self.begin(spool) as scan:
            if isinstance(scan, _StreamScan):
                spool.seek(0)
                while chunk := spool.read(ClamdClient.CHUNK):
                    scan.feed(chunk)
            return scan.verdict()

    @contextmanager
    def begin(self, spool: BinaryIO) -> Iterator[Scan]:
        """A scan beside one pass over the bytes: feed it each chunk as it is spooled, then read the result.

        Raises Unavailable (``scanner_unavailable``; ``during`` is ``scan`` when the daemon died scanning this file).
        """
        report = self.report()
        if report.state == "down":
            raise _unavailable("connect")
        if not report.has_daemon:
            yield Scan(self, report)
        elif self.is_local:
            yield _DescriptorScan(self, report, spool)
        else:
            client = ClamdClient(self.url, self.scan_seconds)
            with ExitStack() as closing:
                try:
                    closing.enter_context(client)
                except clamd.ConnectionError:
                    raise self.unavailable("connect") from None
                yield _StreamScan(self, report, client)

    def confirm_clean(self, verdict: ScanVerdict) -> ScanVerdict:
        """``verdict``, if the daemon still finds EICAR after having called a file clean; raises Unavailable otherwise.

        Given a descriptor, clamd answers OK for everything as soon as it can't make its temporary folder. It is asked
        as patiently as about the file: a busy daemon is no reason to scan that file once more.
        """
        if verdict.result == "clean":
            try:
                found = scan_result.is_detection(self._scan_bytes(clamd.EICAR, self.scan_seconds))
            except (clamd.ClamdError, OSError):
                found = False
            if not found:
                raise self.unavailable("machine")
        return verdict

    def unavailable(self, during: During) -> Unavailable:
        """The error to raise after a failure; the daemon is checked again before the next file."""
        if self._report is not None and self._report.state != "down":
            self._report = None
        return _unavailable(during)

    def _scan_bytes(self, content: bytes, timeout: float) -> str | None:
        """Its answer about a few bytes, which reach it the same way as files do."""
        with ClamdClient(self.url, timeout) as client:
            if self.is_local:
                with _file_of(content) as file:
                    return client.scan_descriptor(file.fileno())
            client.send(content)
            return client.finish()


class Scan:
    """One file's scan. This one is for a scanner that is off or waits for its first signatures: nothing is scanned."""

    def __init__(self, scanner: Scanner, report: ScannerReport) -> None:
        self.scanner = scanner
        self.report = report

    def feed(self, chunk: bytes) -> None:
        """The next bytes of the file, in order."""

    def verdict(self) -> ScanVerdict:
        """What the scanner says, once every byte was fed and the spool is flushed."""
        return ScanVerdict("not_scanned", reason="off" if self.report.state == "off" else "no_signatures")

    def _judge_error(self, error: clamd.ResponseError) -> ScanVerdict:
        """An answer that is an error is about the file, or about the daemon: then Unavailable is raised."""
        if isinstance(error, clamd.BufferTooLongError):
            return scan_result.not_scanned("too_large", self.report)
        failure = scan_result.daemon_failure(str(error))
        if failure is not None:
            raise self.scanner.unavailable(failure) from None
        return scan_result.not_scanned("unscannable", self.report)

    def _judge_silence(self, error: clamd.ConnectionError, during: During) -> ScanVerdict:
        """No answer about the file: the daemon is gone, or its MaxScanTime is longer than we wait.

        A daemon that answers everything else would need as long with the next attempt. Raises Unavailable otherwise.
        """
        unavailable = self.scanner.unavailable(during)
        timed_out = during == "scan" and isinstance(error.__cause__, TimeoutError)
        if timed_out and self.scanner.report().state == "ready":
            return scan_result.not_scanned("too_large", self.report)
        raise unavailable from None


class _DescriptorScan(Scan):
    """The daemon reads the spool itself: no byte goes through this process twice."""

    def __init__(self, scanner: Scanner, report: ScannerReport, spool: BinaryIO) -> None:
        super().__init__(scanner, report)
        self.spool = spool

    def verdict(self) -> ScanVerdict:
        """Pass the descriptor and read the answer. Raises Unavailable when the daemon is gone."""
        during: During = "connect"
        try:
            with ClamdClient(self.scanner.url, self.scanner.scan_seconds) as client:
                during = "scan"
                name = client.scan_descriptor(self.spool.fileno())
        except clamd.ConnectionError as error:
            return self._judge_silence(error, during)
        except clamd.ResponseError as error:
            return self._judge_error(error)
        size = os.fstat(self.spool.fileno()).st_size
        return self.scanner.confirm_clean(scan_result.verdict_of(name, self.report, size))


class _StreamScan(Scan):
    """The daemon is on another machine: the bytes are sent while they are read, so that both happen at once."""

    def __init__(self, scanner: Scanner, report: ScannerReport, client: ClamdClient) -> None:
        super().__init__(scanner, report)
        self.client = client

    def feed(self, chunk: bytes) -> None:
        """Send it on. Raises Unavailable when the daemon is gone."""
        try:
            self.client.send(chunk)
        except clamd.ConnectionError:
            raise self.scanner.unavailable("scan") from None

    def verdict(self) -> ScanVerdict:
        """End the stream and read the answer. Raises Unavailable when the daemon is gone."""
        try:
            name = self.client.finish()
        except clamd.ConnectionError as error:
            return self._judge_silence(error, "scan")
        except clamd.ResponseError as error:
            return self._judge_error(error)
        return self.scanner.confirm_clean(scan_result.verdict_of(name, self.report, self.client.sent_bytes))


@functools.cache
def _scanner_at(url: str, test_database: bool) -> Scanner:
    return Scanner(url, test_database=test_database)


def _unavailable(during: During) -> Unavailable:
    detail = {
        "connect": Text("The virus scanner does not answer. The file is scanned as soon as it does."),
        "machine": Text("The virus scanner has trouble with its own disk. The file is scanned again later."),
        "scan": Text("The virus scanner failed in the middle of the file. The file is scanned again later."),
    }[during]
    return Unavailable(detail, code="scanner_unavailable", during=during)


def _file_of(content: bytes) -> io.FileIO:
    """A few bytes in the folder for spooled files: the daemon's machine may forbid it to read there, and a check must
    show it.

    They lie in memory when there is no room: that is no fault of the scanner's, and intake reports it itself. Raises
    OSError when even that can't be had.
    """
    with suppress(OSError), ExitStack() as undo:
        file = undo.enter_context(tempfile.TemporaryFile(buffering=0))
        if file.write(content) == len(content):
            undo.pop_all()
            return file
    memory = io.FileIO(os.memfd_create("stowage-check"), "r+")
    memory.write(content)
    return memory
