"""Inputs that once got a wrong answer, and the class of faults that each stands for: what becomes of them now."""

from __future__ import annotations

import hashlib
import io
import random
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portal.inspection import containers, content_type, file_kinds, intake, probe_archives
from portal.inspection.decision import Decision, DeclaredFile, FileFacts, decide
from portal.inspection.scan_result import ScannerReport, ScanVerdict
from portal.inspection.scanner import Scanner
from portal.texts import Text
from tests.inspection import test_decision
from tests.support import macros, specimens
from tests.support.clamd_daemons import Daemon
from tests.support.engines import EICAR

FOLDER = Path(__file__).parents[1] / "support" / "cases"
CASES = sorted(path.name for path in FOLDER.iterdir() if path.suffix != ".md")
AVAILABLE = {
    "01-xml-encoding-gb2312.svg": "image/svg+xml",
    "01-xml-encoding-shift_jis.svg": "image/svg+xml",
    "01-xml-encoding-gbk.txt": "text/plain",
    "09-csv-unit-separator-1f.csv": "text/csv",
    "09-txt-iso-2022-kr.txt": "text/plain",
    "13-mp4-major-brand-M4A.mp4": "audio/mp4",
    "15-avif-low-overhead-mif3.avif": "image/avif",
    "08-avif-two-ipma-boxes.avif": "image/avif",
}
MISMATCH = {"01-xml-encoding-gbk-named.jpg": "Not a JPEG. The content is an XML document."}


def decided(name: str, content: bytes) -> Decision:
    head = content[: content_type.HEAD]
    media_type = content_type.detect(head, io.BytesIO(content))
    facts = FileFacts(len(content), hashlib.sha256(content).hexdigest(), media_type, head, ScanVerdict("clean"))
    return decide(facts, DeclaredFile(name, len(content)))


@pytest.mark.parametrize("name", CASES)
def test_every_case_has_its_right_decision(name: str) -> None:
    began = time.monotonic()
    decision = decided(name, (FOLDER / name).read_bytes())
    assert time.monotonic() - began < 10
    if name in MISMATCH:
        assert (decision.outcome, decision.code) == ("failed", "content_mismatch")
        assert decision.detail is not None and MISMATCH[name] in decision.detail
    else:
        expected = AVAILABLE.get(name) or file_kinds.content_type_for(name)
        assert (decision.outcome, decision.served_type) == ("available", expected), decision


def test_the_root_of_a_drawing_may_come_after_the_part_that_is_looked_at_first() -> None:
    content = b"<!--" + b"x" * 300_000 + b'-->\n<svg xmlns="http://www.w3.org/2000/svg" width="10" height="10"/>\n'
    assert decided("licence.svg", content).outcome == "available"
    assert decided("licence.svg", content.replace(b"<svg", b"<html")).code == "content_mismatch"
    assert decided("endless.svg", b"<!--" + b"x" * 11_000_000 + b"--><svg/>").code == "content_mismatch"


def test_detection_never_raises_whatever_the_bytes_are() -> None:
    chance = random.Random(7)
    right: Any = test_decision.test_content_that_fits_its_name_is_available
    contents = [case[1] for case in right.pytestmark[0].args[1]] + [(FOLDER / name).read_bytes() for name in CASES]
    contents += [macros.old_office(), macros.new_office(), *probe_archives.archives().values()]
    for content in contents:
        for _ in range(20):
            damaged = bytearray(content[: chance.randrange(1, min(len(content), 100_000) + 1)])
            for _ in range(chance.randrange(1, 16)):
                damaged[chance.randrange(min(len(damaged), 4096))] = chance.choice((0, 255, chance.randrange(256)))
            head = bytes(damaged[: content_type.HEAD])
            assert "/" in content_type.detect(head, io.BytesIO(bytes(damaged)))


def test_what_no_part_of_detection_foresaw_is_an_unknown_type(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_head: bytes) -> str:
        raise RuntimeError("libmagic")

    monkeypatch.setattr(content_type, "_guess", fail)
    assert decided("a.jpg", b"anything").code == "content_mismatch"


# Archives that a scanner may not be able to open


@pytest.fixture(scope="module")
def scanner(dated_clamd: Daemon) -> Scanner:
    return Scanner(dated_clamd.unix)


def scanned(scanner: Scanner, content: bytes) -> tuple[str, str | None]:
    with intake.inspect(io.BytesIO(content), scanner) as file:
        return file.verdict.result, file.verdict.reason


@pytest.mark.parametrize("form", probe_archives.archives())
def test_a_virus_in_an_archive_is_found_or_the_archive_counts_as_not_scanned(scanner: Scanner, form: str) -> None:
    report = scanner.report()
    expected = ("infected", None) if form in report.readable else ("not_scanned", "unscannable")
    content = probe_archives.archives()[form]
    if form == "7z-ppmd" or form == "7z-bcj2":  # nothing of ours unpacks it, but the daemon does
        expected = ("infected", None)
    assert scanned(scanner, content) == expected


def test_debians_daemon_says_what_it_can_not_open(scanner: Scanner) -> None:
    report = scanner.report()
    for form in ("zip-stored", "zip-deflate", "gzip", "7z-lzma"):
        assert form in report.readable
    missing = set(probe_archives.archives()) - report.readable
    assert ("RAR archives" in report.detail.english) == ("rar5" in missing)
    assert ("can't unpack" in report.detail.english) == bool(missing)


def zipped(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    return specimens.tar_of([("words.txt", b"words"), ("inner", content)])


def in_a_program(content: bytes) -> bytes:
    return zipped(("setup.exe", specimens.WINDOWS_PROGRAM + bytes(5000) + content))


NESTINGS: dict[str, Callable[[bytes], bytes]] = {
    "zip": lambda content: zipped(("readme.txt", b"words"), ("inner", content)),
    "stored zip": lambda content: zipped(("inner", content), method=zipfile.ZIP_STORED),
    "zip in zip": lambda content: zipped(("a.zip", zipped(("inner", content)))),
    "tar": tarred,
    "tar.gz": lambda content: specimens.gzipped(tarred(content)),
    "gzip": specimens.gzipped,
    "tar in a zip": lambda content: zipped(("a.tar", tarred(content))),
    "office document": lambda content: zipped(
        ("[Content_Types].xml", b"<x/>"), ("word/document.xml", b"<x/>"), ("word/embeddings/object.bin", content)
    ),
    "self-extracting program in a zip": in_a_program,
    "after a program": lambda content: specimens.WINDOWS_PROGRAM + zipped(("inner", content)),
}


@pytest.mark.parametrize("wrap", NESTINGS.values(), ids=NESTINGS)
@pytest.mark.parametrize("form", ["rar5", "rar4"])
def test_an_archive_that_it_can_not_open_is_not_clean_in_another_one(
    scanner: Scanner, wrap: Callable[[bytes], bytes], form: str
) -> None:
    result, _ = scanned(scanner, wrap(probe_archives.archives()[form]))
    assert result != "clean"


@pytest.mark.parametrize("wrap", NESTINGS.values(), ids=NESTINGS)
def test_an_archive_of_what_it_can_open_is_clean(scanner: Scanner, wrap: Callable[[bytes], bytes]) -> None:
    assert scanned(scanner, wrap(b"nothing but words\n" * 50)) == ("clean", None)
    assert scanned(scanner, wrap(zipped(("a.txt", b"words")))) == ("clean", None)


def test_a_daemon_that_opens_everything_is_believed() -> None:
    everything = frozenset(probe_archives.archives())
    verdict = ScanVerdict("clean")
    for content in probe_archives.archives().values():
        assert intake._if_readable(verdict, "application/zip", io.BytesIO(content), everything) == verdict
    assert probe_archives.describe_unreadable(everything) is None
    assert ScannerReport("ready", Text("")).readable == frozenset()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (specimens.encrypted_zip(), "encrypted"),
        (zipped(("a.txt", EICAR[:-1] * 40))[:-60], "unscannable"),
        (probe_archives.archives()["7z-lzma"][:-20], "unscannable"),
        (specimens.disagreeing_zip(), "unscannable"),
        (specimens.zip_bomb_of_archives(), "too_large"),
    ],
    ids=["encrypted", "cut off", "damaged 7z", "two methods", "too much to unpack"],
)
def test_what_nobody_can_look_into_is_not_clean(content: bytes, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "_MAX_BYTES", 1024 * 1024)
    assert containers.obstacle_in(io.BytesIO(content), frozenset(probe_archives.archives())) == reason


def test_no_archive_raises_whatever_is_damaged_in_it() -> None:
    chance = random.Random(3)
    contents = [*probe_archives.archives().values(), specimens.tarred(), specimens.office("word"), specimens.GZIP]
    everything = frozenset(probe_archives.archives())
    for content in contents:
        for _ in range(200):
            damaged = bytearray(content[: chance.randrange(len(content) + 1)] if chance.random() < 0.3 else content)
            for _ in range(chance.randrange(1, 8)):
                if damaged:
                    damaged[chance.randrange(len(damaged))] = chance.choice((0, 255, chance.randrange(256)))
            found = containers.obstacle_in(io.BytesIO(bytes(damaged)), everything - {chance.choice([*everything])})
            assert found in (None, "unscannable", "encrypted", "too_large")


def test_more_files_than_clamds_default_are_scanned_by_the_daemon_that_we_start() -> None:
    content = zipped(*((f"{number}.txt", b"") for number in range(10_100)), ("eicar.com", EICAR))
    with Daemon(dated=True) as usual, Daemon(dated=True, options={"MaxFiles": "100000"}) as ours:
        assert scanned(Scanner(usual.unix), content) == ("not_scanned", "too_large")
        assert scanned(Scanner(ours.unix), content) == ("infected", None)
