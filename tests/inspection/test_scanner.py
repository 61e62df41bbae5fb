"""What a real clamd says, and what is made of it."""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest

from portal.embedded.clamav import Clamd
from portal.embedded.folder import DataFolder
from portal.errors import Unavailable
from portal.inspection.clamd import SCAN_SECONDS, nested_archive
from portal.inspection.scan_result import DEFAULT_MAX_FILE_SIZE
from portal.inspection.scanner import Scanner
from tests.support.clamd_daemons import LIMIT_BYTES, Daemon, FakeClamd, usual_answer
from tests.support.engines import EICAR
from tests.support.specimens import encrypted_zip

BOTH_WAYS = pytest.mark.parametrize("way", ["unix", "tcp"])


@contextmanager
def file_with(content: bytes, *, size: int | None = None) -> Iterator[BinaryIO]:
    with tempfile.TemporaryFile() as file:
        file.write(content)
        file.truncate(size if size is not None else len(content))
        file.flush()
        yield file


def scanner_of(daemon: Daemon, way: str = "unix") -> Scanner:
    return Scanner(getattr(daemon, way), test_database=True)


def zip_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


@BOTH_WAYS
def test_what_holds_no_signature_is_clean(clamd: Daemon, way: str) -> None:
    with file_with(b"Nothing but words.\n") as file:
        verdict = scanner_of(clamd, way).scan(file)
    assert (verdict.result, verdict.signature, verdict.reason) == ("clean", None, None)
    assert verdict.engine is not None and verdict.engine.startswith("ClamAV 1.")
    assert verdict.database == "test signatures"


@BOTH_WAYS
@pytest.mark.parametrize("content", [EICAR, zip_of("inner/eicar.com", EICAR)], ids=["plain", "in a zip"])
def test_a_virus_is_found_with_its_name(clamd: Daemon, way: str, content: bytes) -> None:
    with file_with(content) as file:
        verdict = scanner_of(clamd, way).scan(file)
    assert (verdict.result, verdict.signature) == ("infected", "Eicar-Test-Signature.UNOFFICIAL")


@BOTH_WAYS
@pytest.mark.parametrize("size", [LIMIT_BYTES + 1, 5 * LIMIT_BYTES])
def test_what_exceeds_the_scanners_limit_is_not_scanned_and_never_clean(clamd: Daemon, way: str, size: int) -> None:
    with file_with(b"x", size=size) as file:
        verdict = scanner_of(clamd, way).scan(file)
    assert (verdict.result, verdict.reason) == ("not_scanned", "too_large")
    assert verdict.explanation is not None and "larger" in str(verdict.explanation)


def test_what_grows_beyond_the_limit_inside_an_archive_is_not_scanned(clamd: Daemon) -> None:
    with file_with(zip_of("zeros", bytes(5 * LIMIT_BYTES))) as file:
        assert file.seek(0, 2) < LIMIT_BYTES
        assert scanner_of(clamd).scan(file).reason == "too_large"


@BOTH_WAYS
def test_what_is_encrypted_is_not_scanned(clamd: Daemon, way: str) -> None:
    with file_with(encrypted_zip()) as file:
        verdict = scanner_of(clamd, way).scan(file)
    assert (verdict.result, verdict.reason) == ("not_scanned", "encrypted")


@BOTH_WAYS
def test_a_daemon_without_a_dated_database_calls_nothing_clean_yet_still_finds(clamd: Daemon, way: str) -> None:
    scanner = Scanner(getattr(clamd, way))
    assert scanner.report().state == "no_signatures"
    assert "freshclam" in scanner.report().detail.english
    with file_with(b"words") as file:
        assert scanner.scan(file).reason == "no_signatures"
    with file_with(EICAR) as file:
        assert scanner.scan(file).result == "infected"
    with file_with(b"x", size=LIMIT_BYTES + 1) as file:
        assert scanner.scan(file).reason == "no_signatures"


def test_a_daemon_with_a_dated_database_is_believed_and_reported(dated_clamd: Daemon) -> None:
    scanner = Scanner(dated_clamd.unix)
    report = scanner.report()
    assert (report.state, report.reports_limits) == ("ready", True)
    assert report.database is not None and report.database.startswith("27817/Mon Nov 23")
    with file_with(b"words") as file:
        verdict = scanner.scan(file)
    assert (verdict.result, verdict.database) == ("clean", report.database)


def test_a_daemon_that_misses_eicar_is_down() -> None:
    with Daemon(dated=True, options={"MaxFileSize": "10"}) as daemon:
        report = Scanner(daemon.unix).report()
    assert report.state == "down"
    assert "EICAR" in report.detail.english


@BOTH_WAYS
def test_a_daemon_that_lost_its_temporary_folder_calls_nothing_clean(tmp_path: Path, way: str) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    with Daemon(options={"TemporaryDirectory": str(temporary)}) as daemon, file_with(b"words") as file:
        scanner = scanner_of(daemon, way)
        assert scanner.scan(file).result == "clean"
        shutil.rmtree(temporary)  # given a descriptor, clamd now answers OK for EICAR itself
        for attempt in ("with the report still valid", "checked anew"):
            with pytest.raises(Unavailable) as refusal:
                scanner.scan(file)
            assert refusal.value.code == "scanner_unavailable", attempt
        temporary.mkdir()
        assert scanner.scan(file).result == "clean"


@BOTH_WAYS
def test_only_the_first_line_of_an_answer_counts(way: str) -> None:
    """A full disk: clamd can't store the stream, and then finds nothing in what it has stored."""

    def answer(command: str, content: bytes) -> str:
        return (
            "Error writing to temporary file ERROR\nstream: OK"
            if content == b"words"
            else usual_answer(command, content)
        )

    with FakeClamd(answer) as fake, file_with(b"words") as file:
        scanner = Scanner(getattr(fake, way))
        assert scanner.report().state == "ready"
        with pytest.raises(Unavailable):
            scanner.scan(file)


MACHINE_ERRORS = ["fd[10]: Can't write to file ERROR", "Error writing to temporary file ERROR"]


@BOTH_WAYS
@pytest.mark.parametrize(
    ("answer", "during"), [*((each, "machine") for each in MACHINE_ERRORS), ("COMMAND READ TIMED OUT ERROR", "scan")]
)
def test_an_error_of_its_machine_differs_from_a_scan_that_it_gave_up(way: str, answer: str, during: str) -> None:
    with (
        FakeClamd(lambda command, content: answer if content == b"words" else usual_answer(command, content)) as fake,
        file_with(b"words") as file,
        pytest.raises(Unavailable) as refusal,
    ):
        Scanner(getattr(fake, way)).scan(file)
    assert (refusal.value.code, refusal.value.facts) == ("scanner_unavailable", {"during": during})


@pytest.mark.parametrize("answer", MACHINE_ERRORS)
def test_a_daemon_that_finds_eicar_and_can_not_unpack_archives_is_down(answer: str) -> None:
    """A full disk: clamd needs no room for what it reads from a descriptor, but it does for what lies in an archive."""
    with FakeClamd(
        lambda command, content: answer if content == nested_archive() else usual_answer(command, content)
    ) as fake:
        report = Scanner(fake.unix).report()
    assert report.state == "down"
    assert answer.removeprefix("fd[10]: ").removesuffix(" ERROR") in report.detail.english


def test_a_daemon_that_does_not_report_its_limits_is_believed_only_up_to_debians_limit() -> None:
    with Daemon(dated=True, options={"AlertExceedsMax": "no"}) as daemon:
        scanner = Scanner(daemon.unix)
        assert scanner.report().reports_limits is False
        assert "AlertExceedsMax" in scanner.report().detail.english
        with file_with(b"x", size=1024) as file:
            assert scanner.scan(file).result == "clean"
        with file_with(b"x", size=DEFAULT_MAX_FILE_SIZE + 1) as file:
            assert scanner.scan(file).reason == "too_large"


def test_the_details_that_a_daemon_appends_are_not_part_of_the_signature() -> None:
    with Daemon(dated=True, options={"ExtendedDetectionInfo": "yes"}) as daemon, file_with(EICAR) as file:
        assert Scanner(daemon.unix).scan(file).signature == "Eicar-Test-Signature.UNOFFICIAL"


def test_a_scanner_that_is_off_gives_not_scanned() -> None:
    scanner = Scanner("off")
    assert scanner.report().state == "off"
    with file_with(EICAR) as file:
        verdict = scanner.scan(file)
    assert (verdict.result, verdict.reason, verdict.engine) == ("not_scanned", "off", None)


@pytest.mark.parametrize("url", ["unix:///nowhere/clamd.sock", "tcp://127.0.0.1:1"])
def test_a_scanner_that_is_down_is_waited_for(url: str) -> None:
    scanner = Scanner(url, test_database=True)
    assert scanner.report().state == "down"
    with file_with(b"words") as file, pytest.raises(Unavailable) as refusal:
        scanner.scan(file)
    assert (refusal.value.code, refusal.value.facts) == ("scanner_unavailable", {"during": "connect"})


@BOTH_WAYS
def test_a_scanner_that_does_not_answer_is_down_and_not_asked_again_at_once(way: str) -> None:
    with FakeClamd(lambda _command, _content: None) as fake:
        scanner = Scanner(getattr(fake, way), answer_seconds=0.3)
        assert scanner.report().state == "down"
        assert "timed out" in scanner.report().detail.english
        with file_with(b"words") as file, pytest.raises(Unavailable) as refusal:
            scanner.scan(file)
        assert refusal.value.facts == {"during": "connect"}
        assert fake.commands == ["VERSION"]
        with pytest.raises(Unavailable):
            scanner.reload()


def test_a_scanner_that_does_not_answer_about_eicar_is_down() -> None:
    def answer(command: str, content: bytes) -> str | None:
        return None if content == EICAR else usual_answer(command, content)

    with FakeClamd(answer) as fake:
        assert Scanner(fake.unix, answer_seconds=0.05).report().state == "down"


@BOTH_WAYS
def test_the_scan_of_a_file_may_take_longer_than_an_answer(way: str) -> None:
    def answer(command: str, content: bytes) -> str:
        if content == b"words":
            time.sleep(0.7)
        return usual_answer(command, content)

    with FakeClamd(answer) as fake, file_with(b"words") as file:
        scanner = Scanner(getattr(fake, way), answer_seconds=0.5)
        assert scanner.scan(file).result == "clean"


def test_what_takes_the_scanner_too_long_is_too_large_to_scan() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(20_000):  # a few seconds for clamd
            archive.writestr(zipfile.ZipInfo(str(number)), b"words")
    options = {"MaxScanTime": "1000", "MaxFiles": "100000"}
    with Daemon(dated=True, options=options) as daemon, file_with(buffer.getvalue()) as file:
        verdict = Scanner(daemon.unix).scan(file)
    assert (verdict.result, verdict.reason) == ("not_scanned", "too_large")


@BOTH_WAYS
def test_a_file_about_which_a_daemon_that_works_stays_silent_is_too_large_to_scan(way: str) -> None:
    def answer(command: str, content: bytes) -> str | None:
        return None if content == b"words" else usual_answer(command, content)

    with FakeClamd(answer) as fake, file_with(b"words") as file:
        verdict = Scanner(getattr(fake, way), scan_seconds=0.3).scan(file)
    assert (verdict.result, verdict.reason) == ("not_scanned", "too_large")


@BOTH_WAYS
def test_a_daemon_that_answers_nothing_any_more_is_waited_for(way: str) -> None:
    silent: list[bool] = []

    def answer(command: str, content: bytes) -> str | None:
        if content == b"words":
            silent.append(True)
        return None if silent else usual_answer(command, content)

    with FakeClamd(answer) as fake, file_with(b"words") as file, pytest.raises(Unavailable) as refusal:
        Scanner(getattr(fake, way), scan_seconds=0.3, answer_seconds=0.3).scan(file)
    assert refusal.value.code == "scanner_unavailable"


def test_the_embedded_daemon_gives_up_before_we_do(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.open()
    (limit,) = [line for line in Clamd(folder)._settings(tmp_path, tmp_path) if line.startswith("MaxScanTime")]
    assert int(limit.split()[1]) / 1000 < SCAN_SECONDS < 200


@BOTH_WAYS
def test_a_scanner_that_comes_back_is_used_again(way: str) -> None:
    with Daemon() as daemon, file_with(b"words") as file:
        scanner = scanner_of(daemon, way)
        assert scanner.scan(file).result == "clean"
        daemon.kill()
        with pytest.raises(Unavailable):
            scanner.scan(file)
        daemon.start()
        assert scanner.scan(file).result == "clean"


def test_a_daemon_that_dies_in_the_middle_of_a_stream_is_unavailable_not_clean() -> None:
    with Daemon() as daemon, file_with(b"") as file:
        scanner = scanner_of(daemon, "tcp")
        with pytest.raises(Unavailable) as refusal, scanner.begin(file) as scan:
            scan.feed(b"x" * 1024)
            daemon.kill()
            for _ in range(64):
                scan.feed(b"x" * 1024 * 1024)
            scan.verdict()
    assert (refusal.value.code, refusal.value.facts) == ("scanner_unavailable", {"during": "scan"})


def test_a_daemon_that_dies_while_it_reads_the_file_is_unavailable_not_clean() -> None:
    with Daemon(options={"MaxFileSize": "2000M", "MaxScanSize": "2000M"}) as daemon, file_with(b"", size=10**9) as file:
        scanner = scanner_of(daemon)
        assert scanner.report().state == "ready"
        killer = threading.Timer(0.1, daemon.kill)
        killer.start()
        try:
            with pytest.raises(Unavailable) as refusal:
                scanner.scan(file)
        finally:
            killer.join()
    assert refusal.value.code == "scanner_unavailable"


def test_a_scanner_is_checked_without_a_folder_for_temporary_files(
    clamd: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with file_with(b"words") as file:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(FileNotFoundError):
            tempfile.mkstemp()
        scanner = scanner_of(clamd)
        assert scanner.report().state == "ready"
        assert scanner.scan(file).result == "clean"


def test_the_check_uses_the_folder_of_spooled_files_as_long_as_there_is_room(
    clamd: Daemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert scanner_of(clamd).report().state == "ready"
    assert f"{tmp_path}/" in (clamd.home / "log").read_text()


def test_whether_the_scanner_accepts_a_size_is_known(clamd: Daemon) -> None:
    scanner = scanner_of(clamd)
    assert scanner.accepts(LIMIT_BYTES) is True
    assert scanner.accepts(LIMIT_BYTES + 1) is False
