"""The upload policy: what is refused before a byte moves, and in which words."""

import pytest

from portal.errors import Invalid
from portal.inspection import file_kinds

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("file_name", "kind", "content_type"),
    [
        ("beach.jpg", "photo", "image/jpeg"),
        ("BEACH.JPEG", "photo", "image/jpeg"),
        ("scan.tif", "photo", "image/tiff"),
        ("raw.NEF", "photo", "image/x-nikon-nef"),
        ("logo.svg", "vector", "image/svg+xml"),
        ("clip.mov", "video", "video/quicktime"),
        ("letter.docx", "document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("backup.tar.gz", "archive", "application/gzip"),
        ("family \U0001f468\u200d\U0001f469\u200d\U0001f467.jpg", "photo", "image/jpeg"),
        ("\u0639\u06a9\u0633\u200c\u0647\u0627.png", "photo", "image/png"),
        ("CON.jpg", "photo", "image/jpeg"),
        ("x" * 251 + ".jpg", "photo", "image/jpeg"),
        ("invoice.exe.pdf", "document", "application/pdf"),
    ],
)
def test_an_allowed_name_has_a_kind_and_a_type_of_ours(file_name: str, kind: str, content_type: str) -> None:
    assert file_kinds.check_name(file_name).name == kind
    assert file_kinds.content_type_for(file_name) == content_type


@pytest.mark.parametrize(
    ("file_name", "word"),
    [
        ("", "no name"),
        ("   ", "no name"),
        ("..", "no name"),
        (" . . ", "no name"),
        ("../../etc/passwd", "another character"),
        ("..\\..\\boot.jpg", "another character"),
        ("\U0001f600" * 300 + ".jpg", "304 characters"),
        ("x" * 252 + ".jpg", "256 characters"),
        ("photo\u202egpj.exe.jpg", "another name"),
        ("a\u2066b.jpg", "another name"),
        ("a\u200bb.jpg", "another name"),
        ("a\x00.jpg", "control"),
        ("a\r\nSet-Cookie: b.jpg", "control"),
        ("a\u2028b.jpg", "control"),
        ("a\ud800b.jpg", "control"),
    ],
)
def test_a_name_that_can_not_be_one_is_refused_with_the_reason(file_name: str, word: str) -> None:
    with pytest.raises(Invalid) as refusal:
        file_kinds.check_name(file_name)
    assert refusal.value.code == "invalid"
    assert refusal.value.facts == {"field": "file_name"}
    assert word in refusal.value.detail


@pytest.mark.parametrize("file_name", ["passwd", "CON", ".jpg", "a.", 'a"; filename=x.exe', "page.html", "a.jpg.exe"])
def test_an_extension_outside_the_policy_is_refused_with_what_is_allowed(file_name: str) -> None:
    with pytest.raises(Invalid) as refusal:
        file_kinds.check_name(file_name)
    assert (refusal.value.code, refusal.value.http_status) == ("unsupported_type", 415)
    assert refusal.value.facts["allowed"] == file_kinds.allowed_extensions()
    assert "jpg, jpeg, png" in refusal.value.detail


def test_the_policy_is_the_products_table() -> None:
    assert {kind.name: (" ".join(kind.extensions), kind.limit_bytes) for kind in file_kinds.POLICY} == {
        "photo": ("jpg jpeg png webp gif avif tif tiff heic heif raw cr2 nef arw dng", 100 * MB),
        "vector": ("svg", 10 * MB),
        "video": ("mp4 mov avi mkv webm wmv flv", 500 * MB),
        "document": ("pdf doc docx xls xlsx ppt pptx txt csv md", 50 * MB),
        "archive": ("zip tar gz tgz rar 7z", 100 * MB),
    }
    assert file_kinds.largest_limit_bytes() == 500 * MB


def test_a_size_is_taken_up_to_the_limit_and_refused_above_it() -> None:
    photo = file_kinds.check_name("a.jpg")
    file_kinds.check_size(photo, 1)
    file_kinds.check_size(photo, 104_857_600)
    with pytest.raises(Invalid) as refusal:
        file_kinds.check_size(photo, 104_857_601)
    assert (refusal.value.code, refusal.value.http_status) == ("file_too_large", 413)
    assert refusal.value.facts["limit_bytes"] == 104_857_600
    assert "100 MB" in refusal.value.detail


@pytest.mark.parametrize("size_bytes", [0, -1])
def test_an_empty_file_is_refused(size_bytes: int) -> None:
    with pytest.raises(Invalid) as refusal:
        file_kinds.check_size(file_kinds.check_name("a.txt"), size_bytes)
    assert (refusal.value.code, refusal.value.facts["field"]) == ("invalid", "size_bytes")
