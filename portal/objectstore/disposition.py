"""Content-Disposition by RFC 6266: an ASCII ``filename`` for every client, the true name in ``filename*``."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import quote

from werkzeug.http import dump_options_header

# Control characters, and the marks that turn the direction of text: a name that reads "gepj.exe" must not look like
# "exe.jpeg". Joiners stay: emoji and several scripts need them. Lone surrogates can't be written at all.
_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_SEPARATORS = re.compile(r"[/\\]")
_NOT_PLAIN = re.compile(r"""[^ -~]|["%/\\]""")  # browsers disagree on quoted quotes and on %XX in a plain name


def attachment(file_name: str) -> str:
    """The header that makes a browser save the file under ``file_name``."""
    return _disposition("attachment", file_name)


def inline(file_name: str) -> str:
    """The header that lets a browser show the file, and save it under ``file_name``."""
    return _disposition("inline", file_name)


def _disposition(kind: str, file_name: str) -> str:
    name = _SEPARATORS.sub("_", _UNSAFE.sub("", file_name)).strip() or "file"
    letters = name if name.isascii() else _without_accents(name)
    options = {"filename": _NOT_PLAIN.sub("_", letters)}
    if options["filename"] != name:
        options["filename*"] = "UTF-8''" + quote(name, safe="!#$&+-.^_`|~")
    return dump_options_header(kind, options)


def _without_accents(name: str) -> str:
    return "".join(mark for mark in unicodedata.normalize("NFKD", name) if not unicodedata.combining(mark))
