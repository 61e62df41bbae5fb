"""The server's own folder for temporary files, in words when it has no room: that is no fault of the file's."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from portal.errors import Unavailable


@contextmanager
def disk_in_words() -> Iterator[None]:
    """For what reads and writes local files alone. Raises Unavailable (``spool_unavailable``) instead of OSError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "has no room left" if full else f"can't be written ({error.strerror})"
        raise Unavailable(
            f"The server's folder for temporary files {what}. The file waits until that is mended.",
            code="spool_unavailable",
        ) from error


@contextmanager
def closed_in_words(file: BinaryIO) -> Iterator[BinaryIO]:
    """Close a local file at the end: what could not be flushed is tried once more then, and fails once more."""
    try:
        yield file
    finally:
        with disk_in_words():
            file.close()
