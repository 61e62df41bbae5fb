"""Content-Disposition that no file name can break out of."""

from __future__ import annotations

import pytest
from werkzeug.http import parse_options_header

from portal.objectstore.disposition import attachment, inline

NASTY = {
    'a"; filename=x.exe': 'a"; filename=x.exe',
    "back\\slash/and slash.txt": "back_slash_and slash.txt",
    "break\r\nSet-Cookie: a=b\x00.txt": "breakSet-Cookie: a=b.txt",
    "photo\u202egpj.exe": "photogpj.exe",
    "\u2066hidden\u2069.txt": "hidden.txt",
    "🦊" * 60 + ".png": "🦊" * 60 + ".png",
    "Zürich – 你好.pdf": "Zürich – 你好.pdf",
    "fullwidth／slash＂quote.txt": "fullwidth／slash＂quote.txt",
    "100%25 sure.txt": "100%25 sure.txt",
    "semi;colon, comma='quote'.txt": "semi;colon, comma='quote'.txt",
    "": "file",
    "\r\n": "file",
    "\ud800.txt": ".txt",
}


@pytest.mark.parametrize(("file_name", "read"), NASTY.items())
def test_a_client_reads_the_name_and_nothing_else(file_name: str, read: str) -> None:
    header = attachment(file_name)
    assert header.isascii()
    assert header.isprintable()
    kind, options = parse_options_header(header)
    assert kind == "attachment"
    assert options == {"filename": read}


@pytest.mark.parametrize("file_name", NASTY)
def test_the_plain_name_is_safe_for_clients_that_know_no_other(file_name: str) -> None:
    plain = inline(file_name).split("; filename*=")[0].removeprefix("inline; filename=").strip('"')
    assert plain
    assert not set(plain) & set('"\\/%\r\n')


def test_a_simple_name_is_written_simply() -> None:
    assert attachment("photo.jpg") == "attachment; filename=photo.jpg"
    assert inline("my photo.jpg") == 'inline; filename="my photo.jpg"'
    assert attachment("Zürich.pdf") == "attachment; filename=Zurich.pdf; filename*=UTF-8''Z%C3%BCrich.pdf"
