"""The boxes that HEIC and AVIF files consist of (ISO 14496-12)."""

import struct

MAX_META_BYTES = 1024 * 1024
"""Bytes at the beginning of a file, which has the boxes that describe its pictures."""


def find(data: bytes, path: tuple[bytes, ...]) -> list[tuple[int, int]]:
    """Place and length of the boxes at a path of kinds; ``meta`` has a version before its content (ISO 14496-12)."""
    found = [(0, len(data))]
    for depth, kind in enumerate(path):
        inside = []
        for begin, length in found:
            at, end = begin, begin + length
            if depth:
                at += 12 if path[depth - 1] == b"meta" else 8
            while at + 8 <= end:
                size = struct.unpack_from(">I", data, at)[0]
                if size < 8 or at + size > end:
                    break
                if data[at + 4 : at + 8] == kind:
                    inside.append((at, size))
                at += size
        found = inside
    return found
