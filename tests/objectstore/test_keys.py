"""Object keys, exactly as published."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from portal.objectstore import keys

W = UUID("01936b2e-7f00-7000-8000-000000000001")
A = UUID("01936b2e-7f00-7000-8000-000000000002")


@pytest.mark.parametrize(
    ("file_name", "expected"),
    [
        ("photo.jpg", "photo.jpg"),
        ("Photo.JPeG", "Photo.jpeg"),
        ("Zürich am See (1).png", "Z_rich_am_See__1_.png"),
        ("archive.tar.gz", "archive_tar.gz"),
        ("../../etc/passwd", "______etc_passwd"),
        ("..\\..\\boot.ini", "______boot.ini"),
        ('a"; filename=x.exe', "a___filename_x.exe"),
        ("🦊" * 300, "_" * 200),
        ("🦊" * 300 + ".png", "_" * 200 + ".png"),
        ("photo\u202egpj.exe", "photo_gpj.exe"),
        ("CON", "CON"),
        ("con.txt", "con.txt"),
        (".jpg", "_.jpg"),
        ("", "_"),
        (".", "_"),
        ("no extension", "no_extension"),
        ("trailing.", "trailing_"),
        ("line\r\nbreak\x00.txt", "line__break_.txt"),
        ("x" * 255 + ".jpeg", "x" * 200 + ".jpeg"),
        ("photo.jpg/../../x", "photo_jpg_______x"),
        ("name.extension-with-a-dash", "name_extension-with-a-dash"),
        ("name." + "e" * 17, "name_" + "e" * 17),
        ("photo.jpé", "photo_jp_"),
        (" photo.jpg  ", "_photo.jpg"),
        ("\ud800.png", "_.png"),
    ],
)
def test_a_file_name_becomes_a_safe_one(file_name: str, expected: str) -> None:
    assert keys.safe_name(file_name) == expected
    assert re.fullmatch(r"[A-Za-z0-9_-]{1,200}(\.[a-z0-9]+)?", expected)


def test_a_safe_name_stays_what_it_is() -> None:
    for name in ("______etc_passwd", "_" * 200 + ".png", "CON", "_.jpg", "archive_tar.gz"):
        assert keys.safe_name(name) == name


def test_keys_are_as_published() -> None:
    assert keys.staging(W, A, "My photo.JPG") == f"workspaces/{W}/uploads/{A}/My_photo.jpg"
    assert keys.original(W, A, "token", "My photo.JPG") == f"workspaces/{W}/assets/{A}/original/token-My_photo.jpg"
    assert keys.derived(W, A, "thumb", "ab12", "webp") == f"workspaces/{W}/assets/{A}/derived/thumb/ab12.webp"
    assert keys.quarantine(W, A, "My photo.JPG") == f"workspaces/{W}/quarantine/{A}/My_photo.jpg"
    assert keys.probe(A, "post.txt") == f".stowage/probe/{A}/post.txt"


def test_every_key_lies_below_its_prefixes() -> None:
    assert keys.staging(W, A, "x.jpg").startswith(keys.staging_prefix(W, A))
    assert keys.original(W, A, "t", "x.jpg").startswith(keys.original_prefix(W, A))
    assert keys.original_prefix(W, A).startswith(keys.asset_prefix(W, A))
    assert keys.derived(W, A, "web", "ab", "webp").startswith(keys.derived_prefix(W, A))
    assert keys.derived_prefix(W, A).startswith(keys.asset_prefix(W, A))
    assert keys.quarantine(W, A, "x.jpg").startswith(keys.quarantine_prefix(W, A))
    for prefix in (keys.asset_prefix(W, A), keys.staging_prefix(W, A), keys.quarantine_prefix(W, A)):
        assert prefix.startswith(keys.workspace_prefix(W))
        assert prefix.endswith("/")


def test_a_prefix_of_one_thing_is_told_from_one_of_many() -> None:
    for prefix in (keys.asset_prefix(W, A), keys.staging_prefix(W, A), keys.quarantine_prefix(W, A)):
        assert keys.is_small_prefix(prefix)
    assert keys.is_small_prefix(keys.original_prefix(W, A)) and keys.is_small_prefix(keys.probe(A, "post.txt"))
    for prefix in ("", keys.PROBE_PREFIX, keys.workspace_prefix(W), f"{keys.workspace_prefix(W)}assets/"):
        assert not keys.is_small_prefix(prefix)


def test_two_attempts_never_share_a_key_however_long_the_name() -> None:
    name = "x" * 255 + ".jpeg"
    assert keys.original(W, A, "1" * 32, name) != keys.original(W, A, "2" * 32, name)


def test_the_longest_key_behind_the_longest_prefix_stays_below_the_limit() -> None:
    name = "x" * 255 + "." + "e" * 16
    longest = max(
        len(keys.staging(W, A, name)),
        len(keys.original(W, A, "t" * 64, name)),
        len(keys.quarantine(W, A, name)),
        len(keys.derived(W, A, "v" * 64, "h" * 64, "webp")),
    )
    assert longest == 318
    assert keys.PREFIX_LIMIT + 1 + longest <= 1024  # bytes: S3's own limit for a whole key
