"""OLE containers ([MS-CFB]): what office programs wrote until 2003, and what wraps a newer document with a password."""

from __future__ import annotations

import struct
from typing import BinaryIO

import olefile

OLE = "application/x-ole-storage"
ENCRYPTED_OFFICE = "application/x-encrypted-office"
"""A docx, xlsx or pptx with a password: an OLE container that says no more."""
WORD, EXCEL, POWERPOINT = "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint"

# Names compare without regard to case ([MS-CFB] 2.6.4).
_STREAMS = {
    "worddocument": WORD,
    "workbook": EXCEL,
    "book": EXCEL,
    "powerpoint document": POWERPOINT,
    "encryptedpackage": ENCRYPTED_OFFICE,
    "__properties_version1.0": "application/vnd.ms-outlook",
    "visiodocument": "application/vnd.visio",
}
_INSTALLER = "\u4840"  # every table of a Windows installer package has a name that begins with it
_MAX_DIRECTORY_SECTORS = 1024  # 4,096 entries and more
# Records of a workbook ([MS-XLS]); whatever comes before a password does not matter.
_FILE_PASS, _SHEETS = 0x2F, 0x85


class _Container(olefile.OleFileIO):  # type: ignore[misc]  # the package has no type hints
    """The library reads the whole allocation table and directory into memory: both are bounded before it does."""

    def loadfat(self, header: bytes) -> None:
        entries = self.sectorsize // 4
        most = 2 * (self.nb_sect // entries) + 110  # twice what the file needs, and what every header has room for
        if self.sectorsize not in (512, 4096) or self.num_fat_sectors > most:
            raise OSError("the allocation table is larger than the file")
        super().loadfat(header)

    def loaddirectory(self, sect: int) -> None:
        number = sect
        for _ in range(_MAX_DIRECTORY_SECTORS):
            if number >= len(self.fat):
                super().loaddirectory(sect)
                return
            number = self.fat[number]
        raise OSError("the directory is too long, or leads back into itself")

    def beginning(self, stream: str) -> bytes:
        """The first sector of a stream under the root; None for one below 4 KB, which is stored in the mini stream."""
        entry = self.root.kids_dict.get(stream)
        return self.getsect(entry.isectStart) if entry is not None and entry.size >= self.minisectorcutoff else b""


def detect(file: BinaryIO) -> str:
    """The media type of an OLE container; ``OLE`` where its streams say nothing, or it is damaged."""
    container = _open(file)
    if container is None:
        return OLE
    names = container.root.kids_dict
    if any(name.startswith(_INSTALLER) for name in names):
        return "application/x-msi"
    return next((media_type for stream, media_type in _STREAMS.items() if stream in names), OLE)


def is_encrypted(file: BinaryIO) -> bool:
    """Whether an office document of the old form is encrypted with a password ([MS-DOC], [MS-XLS], [MS-PPT])."""
    container = _open(file)
    if container is None:
        return False
    names = container.root.kids_dict
    if "encryptedsummary" in names:  # PowerPoint's copy of what it encrypted
        return True
    try:
        if "worddocument" in names:
            head = container.beginning("worddocument")
            # The bit fEncrypted of the file information block ([MS-DOC] 2.5.2 FibBase).
            return len(head) > 12 and bool(struct.unpack_from("<H", head, 10)[0] & 0x100)
        return _has_password(container.beginning("workbook" if "workbook" in names else "book"))
    except OSError:  # the stream begins outside of the file
        return False


def _open(file: BinaryIO) -> _Container | None:
    """None where the container is damaged: the library may raise anything then, which says no more than that."""
    try:
        return _Container(file)
    except Exception:
        return None


def _has_password(head: bytes) -> bool:
    at = 0
    while at + 4 <= len(head):
        record, length = struct.unpack_from("<HH", head, at)
        if record in (_FILE_PASS, _SHEETS):
            return bool(record == _FILE_PASS)
        at += 4 + length
    return False
