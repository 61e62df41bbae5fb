"""The EICAR test file in each form of archive: what a daemon finds in them, it can unpack.

EICAR is harmless and made to be found. The forms that Python can't write were packed with 7-Zip, and in RAR without
compression; they stand here in base64, so that no scanner stumbles over this file.
"""

from __future__ import annotations

import base64
import bz2
import functools
import gzip
import io
import lzma
import struct
import zipfile

import clamd

from portal.texts import Text

_PACKED = {
    "7z-copy": (
        "N3q8ryccAAQskZv4RAAAAAAAAABKAAAAAAAAAHa4f8pYNU8hUCVAQVBbNFxQWlg1NChQXik3Q0MpN30kRUlDQVItU1RBTkRBUkQt"
        "QU5USVZJUlVTLVRFU1QtRklMRSEkSCtIKgEEBgABCUQABwsBAAEBAAxEAAgKATzPUWgAAAUBERUAZQBpAGMAYQByAC4AYwBvAG0A"
        "AAAUCgEAj/s7jRuB3QEVBgEAIICkgQAA"
    ),
    "7z-lzma": (
        "N3q8ryccAARqe96HRwAAAAAAAABaAAAAAAAAADYF/d0ALA1F4iNLOAn+JCxbSzaQMdxLJDW2Mt+vMUw83886S3Vz5YvIfomzgF73"
        "lB+NqcMe+klsBfyEBVpx/Dm6kmWLl0On3Mi4QwEEBgABCUcABwsBAAEjAwEBBV0AEAAADEQACAoBPM9RaAAABQEZBgAAAAAAABEV"
        "AGUAaQBjAGEAcgAuAGMAbwBtAAAAFAoBAI/7O40bgd0BFQYBACCApIEAAA=="
    ),
    "7z-lzma2": (
        "N3q8ryccAAQ6Z1eSSAAAAAAAAABaAAAAAAAAAFr10MIBAENYNU8hUCVAQVBbNFxQWlg1NChQXik3Q0MpN30kRUlDQVItU1RBTkRB"
        "UkQtQU5USVZJUlVTLVRFU1QtRklMRSEkSCtIKgABBAYAAQlIAAcLAQABISEBAAxEAAgKATzPUWgAAAUBGQwAAAAAAAAAAAAAAAAR"
        "FQBlAGkAYwBhAHIALgBjAG8AbQAAABQKAQCP+zuNG4HdARUGAQAggKSBAAA="
    ),
    "7z-ppmd": (
        "N3q8ryccAATlAJzvQQAAAAAAAABaAAAAAAAAAFvph60AV9xuZ91kHnzqpUxtOx9s7WhQmjCp52ZVbb7T1ENjA/etH+FPusmnlbnh"
        "YcOtTeakPCXYpO9Yciuaw5EQpIHgAAEEBgABCUEABwsBAAEjAwQBBQYAAAEADEQACAoBPM9RaAAABQEZBgAAAAAAABEVAGUAaQBj"
        "AGEAcgAuAGMAbwBtAAAAFAoBAI/7O40bgd0BFQYBACCApIEAAA=="
    ),
    "7z-bzip2": (
        "N3q8ryccAARzN0Y9ZgAAAAAAAABaAAAAAAAAAMCndOhCWmg5MUFZJlNZhlLL0wAAHx6AJnoGgG9l310AAiAASIppoDEDT0jGp6J6"
        "EU0AMAAADiCL9cj4AJTIf6h2D8/IuaopbGcWMJcjrk2gDNF0UHWPyxASE95zcLidoXckU4UJCGUsvTABBAYAAQlmAAcLAQABAwQC"
        "AgxEAAgKATzPUWgAAAUBGQwAAAAAAAAAAAAAAAARFQBlAGkAYwBhAHIALgBjAG8AbQAAABQKAQCP+zuNG4HdARUGAQAggKSBAAA="
    ),
    "7z-deflate": (
        "N3q8ryccAAR57/JCSAAAAAAAAABaAAAAAAAAAHrO7lQFwVEKgCAMANCzCAZZ7E/xt6GGg7ChK6Sim3T33utuVzwsyLd9+OrOjvwa"
        "H4Lxn04UsEITLBFrBCxCJ9WjgaQmsNKWlM5znn4BBAYAAQlIAAcLAQABAwQBCAxEAAgKATzPUWgAAAUBGQwAAAAAAAAAAAAAAAAR"
        "FQBlAGkAYwBhAHIALgBjAG8AbQAAABQKAQCP+zuNG4HdARUGAQAggKSBAAA="
    ),
    "7z-bcj": (
        "N3q8ryccAAS/WeCARwAAAAAAAABaAAAAAAAAAMip/8oALA1F4iNLOAn+JCxbSzaQMdxLJDW2Mt+vMUw83886S3Vz5YvIfomzgF73"
        "lB+NqcMe+klsBfyEBVpx/Dm6kmWLl0On3Mi4QwEEBgABCUcABwsBAAIjAwEBBV0AEAAABAMDAQMBAAxERAAICgE8z1FoAAAFAREV"
        "AGUAaQBjAGEAcgAuAGMAbwBtAAAAFAoBAI/7O40bgd0BFQYBACCApIEAAA=="
    ),
    "7z-bcj2": (
        "N3q8ryccAARFSCSbVgAAAAAAAACKAAAAAAAAAAWr2IwALA1F4iNLOAn+JCxbSzaQMdxLJDW2Mt+vMUw83886S3Vz5YvIfomzgF73"
        "lB+NqcMe+klsBfyEBVpx/Dm6kmWLl0On3Mi4QwAAAAAAAAAAAAAAAAAAAAEEBgAECUcFBQUABwsBAAQjAwEBBV0AEAAAIwMBAQVd"
        "ABAAACMDAQEFXQAQAAAUAwMBGwQBBQAEAQMCAgYBAAwAAEREAAgKATzPUWgAAAUBGQsAAAAAAAAAAAAAABEVAGUAaQBjAGEAcgAu"
        "AGMAbwBtAAAAFAoBAI/7O40bgd0BFQYBACCApIEAAA=="
    ),
    "rar4": (
        "UmFyIRoHAM+QcwAADQAAAAAAAAAH7XQAgCkARAAAAEQAAAADPM9RaAAAIVodMAkApIEAAGVpY2FyLmNvbVg1TyFQJUBBUFs0XFBa"
        "WDU0KFBeKTdDQyk3fSRFSUNBUi1TVEFOREFSRC1BTlRJVklSVVMtVEVTVC1GSUxFISRIK0gqxD17AEAHAA=="
    ),
    "rar5": (
        "UmFyIRoHAQDFGjMyAwEAAAnaXj4YAgJEBESkgwI8z1FoAAEJZWljYXIuY29tWDVPIVAlQEFQWzRcUFpYNTQoUF4pN0NDKTd9JEVJ"
        "Q0FSLVNUQU5EQVJELUFOVElWSVJVUy1URVNULUZJTEUhJEgrSCoZsjo1AwUAAA=="
    ),
    "zip-ppmd": (
        "UEsDBD8AAABiANa0fl08z1FoQwAAAEQAAAAJAAAAZWljYXIuY29tBwBX3G5Sfq5ETzXTcwW5NjN0P27sZOFSyBRzFSXX+KMXwvje"
        "n1D63bhLJ8A0cY0+lN1wsLus4AIRZOyLUpG7uP4WAFBLAQI/Az8AAABiANa0fl08z1FoQwAAAEQAAAAJACQAAAAAAAAAIICkgQAA"
        "AABlaWNhci5jb20KACAAAAAAAAEAGACP+zuNG4HdAQAAAAAAAAAAAAAAAAAAAABQSwUGAAAAAAEAAQBbAAAAagAAAAAA"
    ),
}
_ZIP_METHODS = {
    "zip-stored": zipfile.ZIP_STORED,
    "zip-deflate": zipfile.ZIP_DEFLATED,
    "zip-bzip2": zipfile.ZIP_BZIP2,
    "zip-lzma": zipfile.ZIP_LZMA,
}
_METHOD_NAMES: dict[str, Text | str] = {
    "ppmd": "PPMd", "lzma": "LZMA", "lzma2": "LZMA2", "bzip2": "BZip2", "deflate": "Deflate", "deflate64": "Deflate64",
    "bcj": "BCJ", "bcj2": "BCJ2", "gzip": "gzip", "xz": "xz",
    "copy": Text("uncompressed"), "stored": Text("uncompressed"),
}  # fmt: skip


@functools.cache
def archives() -> dict[str, bytes]:
    """EICAR in every form that is tested, by the form's name."""
    found = {form: base64.b64decode(content) for form, content in _PACKED.items()}
    found |= {form: _zip(method) for form, method in _ZIP_METHODS.items()}
    found["zip-deflate64"] = _with_method(found["zip-deflate"], 9)
    return found | {"gzip": gzip.compress(_EICAR), "bzip2": bz2.compress(_EICAR), "xz": lzma.compress(_EICAR)}


def describe_unreadable(readable: frozenset[str]) -> Text | None:
    """``RAR archives (…), ZIP archives (LZMA, PPMd)``: the forms that are missing; None when none is."""
    kinds: dict[str, list[Text | str]] = {}
    for form in archives():
        if form not in readable:
            kind, _, method = form.partition("-")
            kind = "rar" if kind.startswith("rar") else kind if method else "other"
            kinds.setdefault(kind, []).append(_METHOD_NAMES.get(method or form, form))
    if not kinds:
        return None
    return Text.join(*[_describe(kind, methods) for kind, methods in kinds.items()], separator=", ")


def _describe(kind: str, methods: list[Text | str]) -> Text:
    named = Text.join(*methods, separator=", ")
    match kind:
        case "rar":  # with the Debian package that provides the missing program
            return Text("RAR archives (Debian: libclamunrar, from non-free)")
        case "zip":
            return Text("ZIP archives (%(methods)s)", methods=named)
        case "7z":
            return Text("7-Zip archives (%(methods)s)", methods=named)
    return Text("%(methods)s files", methods=named)


_EICAR: bytes = clamd.EICAR.rstrip()


def _zip(method: int) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(zipfile.ZipInfo("eicar.com"), _EICAR, method)
    return buffer.getvalue()


def _with_method(archive: bytes, method: int) -> bytes:
    """Deflate64 packs what has no long repetitions as Deflate does: only the number differs."""
    content = bytearray(archive)
    struct.pack_into("<H", content, 8, method)
    struct.pack_into("<H", content, content.index(b"PK\x01\x02") + 10, method)
    return bytes(content)
