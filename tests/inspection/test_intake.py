"""One pass over a stream, with a real scanner at the end of it."""

from __future__ import annotations

import errno
import hashlib
import io
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from portal.errors import Unavailable
from portal.inspection import intake
from portal.inspection.scanner import Scanner
from tests.support.clamd_daemons import LIMIT_BYTES, Daemon
from tests.support.engines import EICAR
from tests.support.specimens import compound, office, old_document, old_presentation, old_workbook, picture, zipped

BOTH_WAYS = pytest.mark.parametrize("way", ["unix", "tcp"])


def scanner_of(daemon: Daemon, way: str = "unix") -> Scanner:
    return Scanner(getattr(daemon, way), test_database=True)


class Endless:
    """A stream of so many bytes that are never all in memory."""

    def __init__(self, size: int) -> None:
        self.left = size
        self.block = bytes(range(256)) * 4096

    def read(self, size: int, /) -> bytes:
        part = self.block[: min(size, self.left)]
        self.left -= len(part)
        return part


class BreakingStream:
    """A stream that breaks after its first chunk, as a store that dies does."""

    def __init__(self) -> None:
        self.begun = False

    def read(self, size: int, /) -> bytes:
        if self.begun:
            raise Unavailable("The store is unavailable.", code="storage_unavailable")
        self.begun = True
        return b"x" * size


@BOTH_WAYS
def test_one_pass_gives_size_checksum_type_and_verdict(clamd: Daemon, tmp_path: Path, way: str) -> None:
    content = picture("JPEG") + os.urandom(3 * 1024 * 1024)
    with intake.inspect(io.BytesIO(content), scanner_of(clamd, way), tmp_path) as facts:
        assert facts.size == len(content)
        assert facts.sha256 == hashlib.sha256(content).hexdigest()
        assert facts.detected_type == "image/jpeg"
        assert facts.head == content[: 256 * 1024]
        assert facts.verdict.result == "clean"
        assert facts.spool.read_bytes() == content
    assert list(tmp_path.iterdir()) == []


@BOTH_WAYS
def test_a_virus_is_found_on_the_way(clamd: Daemon, tmp_path: Path, way: str) -> None:
    with intake.inspect(io.BytesIO(zipped("a/b.com", content=EICAR)), scanner_of(clamd, way), tmp_path) as facts:
        assert (facts.verdict.result, facts.detected_type) == ("infected", "application/zip")


@BOTH_WAYS
def test_what_exceeds_the_scanners_limit_is_still_read_to_its_end(clamd: Daemon, tmp_path: Path, way: str) -> None:
    with intake.inspect(Endless(3 * LIMIT_BYTES), scanner_of(clamd, way), tmp_path) as facts:
        assert (facts.size, facts.verdict.reason) == (3 * LIMIT_BYTES, "too_large")


def test_a_container_is_opened_where_its_end_lies_beyond_the_head(tmp_path: Path) -> None:
    content = zipped("pictures/1.bin", content=os.urandom(500_000)) + office("word")
    with intake.inspect(io.BytesIO(content), Scanner("off"), tmp_path) as facts:
        assert facts.detected_type.endswith("wordprocessingml.document")
        assert facts.verdict.reason == "off"


def test_an_office_document_with_a_password_is_not_called_clean(clamd: Daemon, tmp_path: Path) -> None:
    content = compound("EncryptedPackage", "EncryptionInfo")
    with intake.inspect(io.BytesIO(content), scanner_of(clamd), tmp_path) as facts:
        assert (facts.verdict.result, facts.verdict.reason) == ("not_scanned", "encrypted")


@pytest.mark.parametrize("document", [old_document, old_workbook, old_presentation])
def test_an_old_document_with_a_password_is_not_called_clean(
    clamd: Daemon, tmp_path: Path, document: Callable[..., bytes]
) -> None:
    for encrypted, result in ((True, ("not_scanned", "encrypted")), (False, ("clean", None))):
        with intake.inspect(io.BytesIO(document(encrypted=encrypted)), scanner_of(clamd), tmp_path) as facts:
            assert (facts.verdict.result, facts.verdict.reason) == result


def test_an_empty_stream_is_an_empty_file(clamd: Daemon, tmp_path: Path) -> None:
    with intake.inspect(io.BytesIO(b""), scanner_of(clamd), tmp_path) as facts:
        assert (facts.size, facts.detected_type) == (0, "application/octet-stream")


def test_a_list_of_contents_too_long_to_read_is_no_office_document(tmp_path: Path) -> None:
    names = (f"{'x' * 200}{number}" for number in range(10_000))
    content = zipped("[Content_Types].xml", "word/document.xml", *names, content=b"")
    with intake.inspect(io.BytesIO(content), Scanner("off"), tmp_path) as facts:
        assert facts.detected_type == "application/zip"


@pytest.mark.parametrize("url", ["unix:///nowhere/clamd.sock", "tcp://127.0.0.1:1"])
def test_a_scanner_that_is_down_costs_no_byte(tmp_path: Path, url: str) -> None:
    stream = Endless(1024)
    with pytest.raises(Unavailable) as refusal, intake.inspect(stream, Scanner(url), tmp_path):
        pass
    assert refusal.value.code == "scanner_unavailable"
    assert stream.left == 1024
    assert list(tmp_path.iterdir()) == []


def test_a_scanner_that_dies_in_the_middle_leaves_nothing_behind(tmp_path: Path) -> None:
    class Killing(Endless):
        def read(self, size: int, /) -> bytes:
            if self.left < 48 * 1024 * 1024:
                daemon.kill()
            return super().read(size)

    with Daemon(options={"StreamMaxLength": "100M"}) as daemon:
        stream = Killing(64 * 1024 * 1024)
        with pytest.raises(Unavailable) as refusal, intake.inspect(stream, scanner_of(daemon, "tcp"), tmp_path):
            pass
    assert refusal.value.code == "scanner_unavailable"
    assert list(tmp_path.iterdir()) == []


def test_a_store_that_breaks_in_the_middle_is_passed_on_and_leaves_nothing_behind(
    clamd: Daemon, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable) as refusal, intake.inspect(BreakingStream(), scanner_of(clamd), tmp_path):
        pass
    assert refusal.value.code == "storage_unavailable"
    assert list(tmp_path.iterdir()) == []


def test_a_failure_of_whoever_uses_the_facts_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), intake.inspect(io.BytesIO(b"x"), Scanner("off"), tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("room", "size"), [(2 * 1024 * 1024, 8 * 1024 * 1024), (10, 100)], ids=["large", "small"])
def test_a_full_disk_is_unavailable_with_a_reason(tmp_path: Path, room: int, size: int) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))  # Python ignores the signal: EFBIG
    try:
        with pytest.raises(Unavailable) as refusal, intake.inspect(Endless(size), Scanner("off"), tmp_path):
            pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert refusal.value.code == "spool_unavailable"
    assert isinstance(refusal.value.__cause__, OSError)
    assert refusal.value.__cause__.errno == errno.EFBIG
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_made_is_unavailable_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(Unavailable, match="can't be written"),
        intake.inspect(Endless(1), Scanner("off"), tmp_path / "file"),
    ):
        pass


def test_what_a_killed_worker_left_behind_is_removed_and_what_is_in_use_is_not(tmp_path: Path) -> None:
    worker = (
        "import io, os, sys, pathlib\n"
        "from portal.inspection import intake; from portal.inspection.scanner import Scanner\n"
        "with intake.inspect(io.BytesIO(b'x'), Scanner('off'), pathlib.Path(sys.argv[1])): os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", worker, str(tmp_path)], check=False)
    (leftover,) = tmp_path.iterdir()
    with intake.inspect(io.BytesIO(b"a"), Scanner("off"), tmp_path) as first:
        assert leftover.exists(), "too young to be called a leftover"
        long_ago = time.time() - 3600
        for path in tmp_path.iterdir():
            os.utime(path, (long_ago, long_ago))
        with intake.inspect(io.BytesIO(b"b"), Scanner("off"), tmp_path):
            assert first.spool.exists()
            assert not leftover.exists()


def test_a_pipe_with_the_name_of_a_leftover_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / f"{intake.PREFIX}trap")
    with intake.inspect(io.BytesIO(b"x"), Scanner("off"), tmp_path) as facts:
        assert facts.size == 1


def test_memory_does_not_depend_on_the_size(tmp_path: Path) -> None:
    worker = (
        "import re, sys, pathlib; from portal.inspection import intake; from portal.inspection.scanner import Scanner\n"
        "from tests.inspection.test_intake import Endless\n"
        "with intake.inspect(Endless(int(sys.argv[2]) << 20), Scanner('off'), pathlib.Path(sys.argv[1])): pass\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', pathlib.Path('/proc/self/status').read_text())[1])"
    )
    small, large = (
        int(subprocess.check_output([sys.executable, "-c", worker, str(tmp_path), megabytes]))
        for megabytes in ("4", "400")
    )
    assert large - small < 4 * 1024  # KiB
