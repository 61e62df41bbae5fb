"""The one pass over a file: size, SHA-256, media type, and the scanner's verdict.

The bytes are spooled to a local file on the way. A local clamd is then given that file's descriptor, a remote one is
sent the bytes while they are read. Memory is two chunks and the head, whatever the size of the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Protocol, Self, cast

from portal.inspection import containers, content_type, ole
from portal.inspection.decision import FileFacts
from portal.inspection.scan_result import ScanVerdict
from portal.inspection.scanner import Scanner
from portal.inspection.spool import closing_spool, spool_errors

CHUNK = 1024 * 1024
PREFIX = "stowage-intake-"
# A spool younger than this may belong to a worker that has created it and not locked it yet.
YOUNGEST_LEFTOVER_SECONDS = 60.0


class Readable(Protocol):
    """What a bucket opens."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


@dataclass(frozen=True)
class SpooledFile(FileFacts):
    """What intake read, and where the local copy is."""

    spool: Path


@contextmanager
def inspect(stream: Readable, scanner: Scanner, spool_dir: Path | None = None) -> Iterator[SpooledFile]:
    """Read the stream to its end, once. The spooled copy, in ``spool_dir`` or TMPDIR, exists inside the ``with`` only.

    Raises Unavailable: ``scanner_unavailable``, or ``spool_unavailable`` when the local folder is full or can't be
    written; and whatever the stream raises.
    """
    with _spool_in(spool_dir or Path(tempfile.gettempdir())) as spool, scanner.begin(spool) as scan:
        with _Digest() as digest:
            head = bytearray()
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                head += chunk[: content_type.HEAD - len(head)]
                with spool_errors():
                    spool.write(chunk)
                scan.feed(chunk)
            with spool_errors():
                spool.flush()
        verdict = scan.verdict()
        beginning = bytes(head)
        with spool_errors():
            media_type = content_type.detect(beginning, spool)
            if verdict.result == "clean":
                verdict = _if_readable(verdict, media_type, spool, scan.report.readable)
        yield SpooledFile(
            size=os.fstat(spool.fileno()).st_size,
            sha256=digest.hexdigest(),
            detected_type=media_type,
            head=beginning,
            verdict=verdict,
            spool=Path(spool.name),
        )


class _Digest:
    """SHA-256 in a thread of its own: a chunk is hashed while the next one is fetched and spooled."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._thread = ThreadPoolExecutor(1)
        self._last: Future[None] = self._thread.submit(self._sha256.update, b"")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def update(self, chunk: bytes) -> None:
        """Take the next chunk. Waits for the one before, so that never more than two are in memory."""
        self._last.result()
        self._last = self._thread.submit(self._sha256.update, chunk)

    def hexdigest(self) -> str:
        """Of all that was given."""
        self._last.result()
        return self._sha256.hexdigest()


def _if_readable(verdict: ScanVerdict, media_type: str, file: BinaryIO, readable: frozenset[str]) -> ScanVerdict:
    """A clean verdict, if clamd could look inside: it answers OK for what it can't unpack, or needs a password for."""
    old = media_type in (ole.WORD, ole.EXCEL, ole.POWERPOINT)
    if media_type == ole.ENCRYPTED_OFFICE or (old and ole.is_encrypted(file)):
        return replace(verdict, result="not_scanned", reason="encrypted")
    obstacle = containers.obstacle_in(file, readable)
    return verdict if obstacle is None else replace(verdict, result="not_scanned", reason=obstacle)


@contextmanager
def _spool_in(folder: Path) -> Iterator[BinaryIO]:
    """A file of our own that is gone afterwards; what killed workers left behind is removed first.

    Locked while it is in use, so that other workers know that it is no leftover.
    """
    with spool_errors():
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        spool = tempfile.NamedTemporaryFile(dir=folder, prefix=PREFIX)  # noqa: SIM115
    with closing_spool(cast(BinaryIO, spool)) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def _remove_leftovers(folder: Path) -> None:
    """Spools that no process has locked any more: a lock ends with its process."""
    for path in folder.glob(PREFIX + "*"):
        with suppress(OSError), open(path, "rb", opener=_open_regular) as file:
            if time.time() - os.fstat(file.fileno()).st_mtime > YOUNGEST_LEFTOVER_SECONDS:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()


def _open_regular(path: str, flags: int) -> int:
    """TMPDIR is shared: what others put there may be a pipe to wait at for ever, or a link to elsewhere."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW)
