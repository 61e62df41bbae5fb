"""OLE containers that are damaged, or made to cost as much as possible: a type, never an exception."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from portal.inspection import ole
from tests.support import macros, specimens

CONTAINERS = [
    specimens.compound("1Table", "WordDocument"),
    specimens.large_compound("Workbook")[: 1 << 20],
    specimens.old_document(encrypted=True),
    specimens.old_workbook(encrypted=True),
    macros.old_office(),
]


@pytest.mark.parametrize("content", CONTAINERS)
def test_whatever_is_damaged_in_it_no_container_raises(content: bytes) -> None:
    chance = random.Random(1)
    for _ in range(300):
        damaged = bytearray(content[: chance.randrange(8, len(content) + 1)])
        for _ in range(chance.randrange(1, 12)):
            at = chance.randrange(min(len(damaged), 4096))
            damaged[at] = chance.choice((0, 1, 0x7F, 0xFE, 0xFF, chance.randrange(256)))
        file = io.BytesIO(bytes(damaged))
        assert isinstance(ole.detect(file), str)
        assert isinstance(ole.is_encrypted(file), bool)


@pytest.mark.parametrize("name", ["EncryptedPackage", "ENCRYPTEDPACKAGE", "encryptedpackage"])
def test_the_names_of_streams_compare_without_regard_to_case(name: str) -> None:
    assert ole.detect(io.BytesIO(specimens.compound(name, "EncryptionInfo"))) == ole.ENCRYPTED_OFFICE


def endless_allocation_table() -> bytes:
    """Its list of tables leads back into itself, and is said to have millions of entries."""
    content = bytearray(specimens.compound("WordDocument"))
    struct.pack_into("<I", content, 44, 2**31)
    struct.pack_into("<II", content, 68, 1, (2**31 - 109 + 126) // 127)
    content[1024:1536] = struct.pack("<128I", *[0] * 127, 1)
    return bytes(content).ljust(1 << 20, b"\0")


def endless_directory() -> bytes:
    content = bytearray(specimens.compound("WordDocument").ljust(1 << 20, b"\0"))
    content[512:1024] = struct.pack("<128I", 0xFFFFFFFD, 1, *[0xFFFFFFFE] * 126)
    return bytes(content)


def enormous_sectors() -> bytes:
    content = bytearray(specimens.compound("WordDocument").ljust(1 << 20, b"\0"))
    content[30] = 28
    return bytes(content)


@pytest.mark.parametrize("make", [endless_allocation_table, endless_directory, enormous_sectors])
def test_a_container_costs_little_memory_whatever_it_says_of_itself(make: Callable[[], bytes]) -> None:
    file = io.BytesIO(make())
    tracemalloc.start()
    try:
        assert ole.detect(file) == ole.OLE
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()
