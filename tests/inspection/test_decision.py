"""The table of verdicts: name, bytes and the scanner's word in, decision out."""

from __future__ import annotations

import hashlib
import io
import subprocess
import sys
import tarfile
from typing import Any

import pytest

from portal.inspection import content_type, file_kinds
from portal.inspection.decision import Decision, DeclaredFile, FileFacts, decide
from portal.inspection.scan_policy import ScanRules
from portal.inspection.scan_result import ScanVerdict
from tests.support import specimens as s

CLEAN = ScanVerdict("clean", engine="ClamAV 1.4.6", database="27817")
DOCX = file_kinds.content_type_for("a.docx")
XLSX = file_kinds.content_type_for("a.xlsx")
PPTX = file_kinds.content_type_for("a.pptx")


def found_in(data: bytes, verdict: ScanVerdict = CLEAN) -> FileFacts:
    head = data[: content_type.HEAD]
    media_type = content_type.detect(head, io.BytesIO(data))
    return FileFacts(len(data), hashlib.sha256(data).hexdigest(), media_type, head, verdict)


def decided(name: str, data: bytes, verdict: ScanVerdict = CLEAN, **policy: Any) -> Decision:
    return decide(found_in(data, verdict), DeclaredFile(name, len(data)), **policy)


@pytest.mark.parametrize(
    ("name", "data", "served_as"),
    [
        ("a.jpg", s.picture("JPEG"), "image/jpeg"),
        ("A.JPEG", s.picture("JPEG"), "image/jpeg"),
        ("a.png", s.picture("PNG"), "image/png"),
        ("a.webp", s.picture("WEBP"), "image/webp"),
        ("a.gif", s.picture("GIF"), "image/gif"),
        ("a.avif", s.picture("AVIF"), "image/avif"),
        ("b.avif", s.iso_media(b"mif1", b"mif1", b"avif"), "image/avif"),
        ("phone.heic", s.iso_media(b"MiHE", b"mif1", b"heic"), "image/heic"),
        ("a.tif", s.picture("TIFF"), "image/tiff"),
        ("a.heic", s.picture("HEIF"), "image/heic"),
        ("a.heif", s.picture("HEIF"), "image/heic"),
        ("b.heif", s.iso_media(b"mif1", b"mif1", b"miaf"), "image/heif"),
        ("a.nef", s.TIFF_LIKE_RAW, "image/x-nikon-nef"),
        ("a.arw", s.picture("TIFF"), "image/x-sony-arw"),
        ("a.dng", s.TIFF_LIKE_RAW, "image/x-adobe-dng"),
        ("a.cr2", s.CR2, "image/x-canon-cr2"),
        ("a.raw", s.RW2, "image/x-dcraw"),
        ("a.svg", s.SVG, "image/svg+xml"),
        ("script.svg", s.SVG_WITH_SCRIPT, "image/svg+xml"),
        ("long.svg", s.SVG_AFTER_A_LONG_COMMENT, "image/svg+xml"),
        ("chinese.svg", s.svg_in("gb18030", "\u4e2d\u6587"), "image/svg+xml"),
        ("japanese.svg", s.svg_in("euc-jp", "\u65e5\u672c"), "image/svg+xml"),
        ("prefix.svg", s.SVG_WITH_PREFIX, "image/svg+xml"),
        ("copied.svg", s.SVG_WITH_UNDECLARED_PREFIX, "image/svg+xml"),
        ("utf16.svg", s.SVG.decode().encode("utf-16"), "image/svg+xml"),
        ("a.mp4", s.iso_media(b"isom", b"isom", b"avc1"), "video/mp4"),
        ("sony.mp4", s.iso_media(b"XAVC", b"XAVC", b"mp42"), "video/mp4"),
        ("psp.mp4", s.iso_media(b"MSNV", b"MSNV"), "video/mp4"),
        ("song.mp4", s.iso_media(b"M4A ", b"isom", b"mp42"), "audio/mp4"),
        ("segment.mp4", s.boxes(b"styp", b"moof", b"mdat"), "video/mp4"),
        ("fragment.mp4", s.boxes(b"moof", b"mdat"), "video/mp4"),
        ("tagged.mov", s.boxes(b"udta", b"moov", b"mdat"), "video/quicktime"),
        ("phone.mov", s.iso_media(b"qt  "), "video/quicktime"),
        ("old.mov", s.quicktime_without_brand(), "video/quicktime"),
        ("really-mp4.mov", s.iso_media(b"mp42"), "video/mp4"),
        ("a.avi", s.AVI, "video/x-msvideo"),
        ("a.mkv", s.matroska(b"matroska"), "video/x-matroska"),
        ("a.webm", s.matroska(b"webm"), "video/webm"),
        ("a.wmv", s.WMV, "video/x-ms-wmv"),
        ("a.flv", s.FLV, "video/x-flv"),
        ("a.pdf", s.PDF, "application/pdf"),
        ("junk-before.pdf", b"\0\0junk\n" + s.PDF, "application/pdf"),
        ("a.docx", s.office("word"), DOCX),
        ("other-order.docx", s.office("word", types_first=False), DOCX),
        ("small-letters.docx", s.zipped("[content_types].xml", "word/document.xml"), DOCX),
        ("elsewhere.docx", s.office_elsewhere("wordprocessingml.document"), DOCX),
        ("a.xlsx", s.office("xl"), XLSX),
        ("elsewhere.xlsx", s.office_elsewhere("spreadsheetml.sheet"), XLSX),
        ("export.xlsx", s.with_64_bit_end(s.office("xl")), XLSX),
        ("a.pptx", s.office("ppt", types_first=False), PPTX),
        ("elsewhere.pptx", s.office_elsewhere("presentationml.presentation"), PPTX),
        ("password.docx", s.compound("EncryptedPackage", "EncryptionInfo"), DOCX),
        ("capitals.docx", s.compound("ENCRYPTEDPACKAGE", "ENCRYPTIONINFO"), DOCX),
        ("a.doc", s.compound("1Table", "WordDocument"), "application/msword"),
        ("far.doc", s.compound("1Table", "WordDocument", directory_sector=40), "application/msword"),
        ("large.doc", s.large_compound("WordDocument"), "application/msword"),
        ("rich.doc", rb"{\rtf1\ansi hello}", "application/msword"),
        ("a.xls", s.compound("Workbook"), "application/vnd.ms-excel"),
        ("3.xls", b"\x09\x02\x06\0\0\0\x10\0\0\0" + bytes(100), "application/vnd.ms-excel"),
        ("95.xls", s.compound("Book"), "application/vnd.ms-excel"),
        ("a.ppt", s.compound("Current User", "PowerPoint Document"), "application/vnd.ms-powerpoint"),
        ("a.txt", b"hello\n", "text/plain"),
        ("one.txt", b"a", "text/plain"),
        ("latin1.txt", "Grüße aus Köln\n".encode("latin-1"), "text/plain"),
        ("windows.txt", "\u201cx\u201d \u2013 €5\n".encode("cp1252"), "text/plain"),
        ("japanese.txt", "日本語テキスト\n".encode("shift_jis"), "text/plain"),
        ("korean.txt", "\ud55c\uad6d\uc5b4 \ubb38\uc11c\n".encode("iso2022_kr"), "text/plain"),
        ("iso2022.txt", "\u65e5\u672c\u8a9e\n".encode("iso2022_jp_2"), "text/plain"),
        ("records.txt", b"one, two, three\x1efour, five, six, seven", "text/plain"),
        ("old-editor.txt", b"x" * 2000 + b"\0\x1a", "text/plain"),
        ("utf16.txt", "hällo\n".encode("utf-16"), "text/plain"),
        ("unmarked.txt", "h\u00e4llo, all of you\n".encode("utf-16-le"), "text/plain"),
        ("utf32.txt", "h\u00e4llo\n".encode("utf-32"), "text/plain"),
        ("boxes.txt", b"the ftyp box comes first\n", "text/plain"),
        ("atoms.txt", b"The moov atom of a movie\n", "text/plain"),
        ("about-gif.txt", b"GIF89a is how they begin\n", "text/plain"),
        ("about-pdf.txt", b"%PDF-1.4 is how they begin\n", "text/plain"),
        ("cut.txt", ("ä" * 200_000).encode(), "text/plain"),
        ("script.txt", b"#!/bin/sh\necho\n", "text/plain"),
        ("page.md", s.HTML, "text/markdown"),
        ("drawing.md", s.SVG, "text/markdown"),
        ("a.md", b"# Title\n\n- one\n", "text/markdown"),
        ("a.csv", b"a,b\n1,2\n", "text/csv"),
        ("one-column.csv", b"a\n", "text/csv"),
        ("json.txt", b'{"a": 1}\n', "text/plain"),
        ("a.zip", s.zipped("a.txt"), "application/zip"),
        ("empty.zip", s.zipped(), "application/zip"),
        ("zipapp.zip", b"#!/usr/bin/env python3\n" + s.zipped("__main__.py"), "application/zip"),
        ("office.zip", s.office("word"), "application/zip"),
        ("a.tar", s.tarred(), "application/x-tar"),
        ("gnu.tar", s.tarred(tarfile.GNU_FORMAT), "application/x-tar"),
        ("empty.tar", s.EMPTY_TAR, "application/x-tar"),
        ("a.tar.gz", s.GZIP, "application/gzip"),
        ("a.tgz", s.GZIP, "application/gzip"),
        ("a.rar", s.RAR, "application/vnd.rar"),
        ("a.7z", s.SEVEN_ZIP, "application/x-7z-compressed"),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value else "",
)
def test_content_that_fits_its_name_is_available(name: str, data: bytes, served_as: str) -> None:
    decision = decided(name, data)
    assert (decision.outcome, decision.code, decision.detail) == ("available", None, None), decision
    assert decision.served_type == served_as


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        (
            "zip.jpg",
            s.zipped("a.txt"),
            (
                "Not a JPEG. The content is a ZIP archive. If that is what you want to keep, "
                "let its name end in .zip and upload it again."
            ),
        ),
        ("png.jpg", s.picture("PNG"), "Not a JPEG. The content is a PNG."),
        ("jpeg.heic", s.picture("JPEG"), "Not a HEIC. The content is a JPEG."),
        ("page.jpg", s.HTML, "Not a JPEG. The content is a web page (HTML)."),
        ("head.jpg", s.JPEG_HEAD_WITH_HTML, "Not a JPEG. The content is plain text."),
        ("head.gif", s.GIF_HEAD_WITH_PHP, "Not a GIF. The content is plain text."),
        ("mark.pdf", s.HTML_WITH_PDF_MARK, "Not a PDF."),
        ("page.svg", s.HTML, "Not an SVG. The content is a web page (HTML)."),
        ("packed.svg", s.GZIP, "Not an SVG. The content is a gzip archive."),
        ("entities.svg", s.SVG_WITH_ENTITIES, "Not an SVG."),
        ("program.png", s.WINDOWS_PROGRAM, "Not a PNG. The content is a Windows program. Check the file"),
        ("program.txt", s.WINDOWS_PROGRAM, "Not plain text. The content is a Windows program."),
        ("noise.txt", s.NOISE, "Not plain text."),
        ("wide-noise.txt", b"\xff\xfe" + s.NOISE, "Not plain text."),
        ("controls.txt", b"hello\x01\x02\x03\n", "Not plain text."),
        ("nuls.txt", b"a line of text\0" * 50, "Not plain text."),
        ("padded.txt", b"hello\n" + bytes(512), "Not plain text. The content is of a kind that is not known here."),
        ("noise.pdf", s.NOISE, "Not a PDF."),
        ("pdf.txt", s.PDF, "Not plain text. The content is a PDF."),
        ("text.pdf", b"hello\n", "Not a PDF. The content is plain text."),
        ("sheet.docx", s.office("xl"), "Not a Word document (docx). The content is an Excel workbook (xlsx)."),
        ("zip.docx", s.zipped("a.txt"), "Not a Word document (docx). The content is a ZIP archive."),
        ("new.doc", s.office("word"), "The content is a Word document (docx)."),
        ("large.doc", s.large_compound("Workbook"), "The content is an Excel workbook of the old form (xls)."),
        ("sheet.doc", s.compound("Workbook"), "The content is an Excel workbook of the old form (xls)."),
        ("message.doc", s.compound("__properties_version1.0"), "The content is an Outlook message (msg)."),
        ("installer.doc", s.compound("\u4840\u3f7f"), "The content is a Windows installer."),
        ("program.zip", s.WINDOWS_PROGRAM + s.zipped("a.txt"), "The content is a Windows program."),
        ("zeros.jpg", s.EMPTY_TAR, "Not a JPEG."),
        (
            "song.mov",
            s.iso_media(b"M4A "),
            "Not a QuickTime movie. The content is a sound. Sound can't be uploaded here.",
        ),
        ("photo.mp4", s.picture("AVIF"), "Not an MP4. The content is an AVIF."),
        ("photo.nef", s.picture("JPEG"), "Not a Nikon RAW file (NEF). The content is a JPEG."),
        ("noise.raw", s.NOISE, "Not a camera's RAW file."),
        ("tar.zip", s.tarred(), "Not a ZIP archive. The content is a TAR archive."),
        ("word.zip", s.compound("WordDocument"), "Not a ZIP archive."),
    ],
    ids=lambda value: value if isinstance(value, str) and "." in value[:12] else "",
)
def test_content_that_contradicts_its_name_fails_and_says_what_it_is(name: str, data: bytes, words: str) -> None:
    decision = decided(name, data)
    assert (decision.outcome, decision.code) == ("failed", "content_mismatch"), decision
    assert decision.detail is not None
    assert words in decision.detail


@pytest.mark.parametrize(
    ("declared", "code", "word"),
    [
        (DeclaredFile("a.txt", 7), "size_mismatch", "7 bytes were announced, 6 arrived"),
        (DeclaredFile("a.txt", 6, "0" * 64), "checksum_mismatch", "checksum"),
        (DeclaredFile("a.jpg", 5, "0" * 64), "size_mismatch", "announced"),
    ],
)
def test_a_file_that_is_not_the_announced_one_fails(declared: DeclaredFile, code: str, word: str) -> None:
    decision = decide(found_in(b"hello\n"), declared)
    assert (decision.outcome, decision.code) == ("failed", code)
    assert decision.detail is not None
    assert word in decision.detail


def test_the_announced_checksum_may_be_written_in_capitals() -> None:
    data = b"hello\n"
    declared = DeclaredFile("a.txt", len(data), hashlib.sha256(data).hexdigest().upper())
    assert decide(found_in(data), declared).outcome == "available"


def test_an_empty_file_fails() -> None:
    decision = decide(found_in(b""), DeclaredFile("a.txt", 0))
    assert (decision.outcome, decision.code) == ("failed", "empty")


@pytest.mark.parametrize(
    "declared",
    [DeclaredFile("a.txt", 6), DeclaredFile("a.jpg", 6), DeclaredFile("a.txt", 9), DeclaredFile("a.txt", 6, "0" * 64)],
)
def test_an_infection_outweighs_everything_else(declared: DeclaredFile) -> None:
    verdict = ScanVerdict("infected", "Win.Test.EICAR", "ClamAV 1.4.6", "27817")
    decision = decide(found_in(b"hello\n", verdict), declared)
    assert (decision.outcome, decision.code) == ("quarantined", "infected")
    assert decision.detail is not None
    assert "Win.Test.EICAR" in decision.detail


@pytest.mark.parametrize(
    ("reason", "rules"),
    [
        ("too_large", ScanRules(too_large="release")),
        ("encrypted", ScanRules(encrypted="release")),
        ("unscannable", ScanRules(unscannable="release")),
    ],
)
def test_what_the_scanner_could_not_look_into_is_held_unless_the_tenant_releases_it(
    reason: Any, rules: ScanRules
) -> None:
    verdict = ScanVerdict("not_scanned", reason=reason)
    held = decided("a.txt", b"hello\n", verdict)
    assert (held.outcome, held.code) == ("quarantined", reason)
    assert held.detail is not None
    assert "Not scanned" in held.detail
    released = decided("a.txt", b"hello\n", verdict, rules=rules)
    assert (released.outcome, released.code) == ("available", None)
    assert decided("a.jpg", b"hello\n", verdict).code == "content_mismatch"


@pytest.mark.parametrize("choice", ["hold", "release"])
def test_macros_are_held_or_released_as_the_tenant_chose_and_never_called_a_virus(choice: Any) -> None:
    verdict = ScanVerdict("clean", reason="macros")
    decision = decided("a.txt", b"hello\n", verdict, rules=ScanRules(macros=choice))
    assert decision.outcome == {"hold": "quarantined", "release": "available"}[choice]
    assert decision.code == {"hold": "macros", "release": None}[choice]
    assert decided("a.txt", b"hello\n", verdict).outcome == "available"


@pytest.mark.parametrize("reason", ["off", "no_signatures"])
def test_where_a_scanner_is_required_a_file_waits_for_one(reason: Any) -> None:
    verdict = ScanVerdict("not_scanned", reason=reason)
    assert decided("a.txt", b"hello\n", verdict, rules=ScanRules(scanner_required=True)).outcome == "waits"
    refused = decided("a.jpg", b"hello\n", verdict, rules=ScanRules(scanner_required=True))
    assert refused.code == "content_mismatch"


@pytest.mark.parametrize("reason", ["off", "no_signatures"])
def test_what_no_scanner_could_look_at_is_available_with_the_mark_of_its_verdict(reason: Any) -> None:
    verdict = ScanVerdict("not_scanned", reason=reason)
    assert decided("a.txt", b"hello\n", verdict).outcome == "available"
    assert verdict.explanation is not None
    assert str(verdict.explanation).startswith("Not scanned")


def test_every_extension_of_the_policy_has_a_file_that_passes() -> None:
    marks: Any = test_content_that_fits_its_name_is_available
    tried = {file_kinds.extension_of(case[0]) for case in marks.pytestmark[0].args[1]}
    assert tried | {"tiff", "gz"} == set(file_kinds.allowed_extensions())


def test_the_older_libmagic_of_the_wheel_comes_to_the_same_verdicts() -> None:
    """Where the system has none. In a process of its own: one library is loaded per process."""
    program = (
        "import pylibmagic, magic, pytest, sys\n"
        "assert magic.version() < 544\n"
        "sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider', '-k', 'name', *sys.argv[1:]]))"
    )
    result = subprocess.run([sys.executable, "-c", program, __file__], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
