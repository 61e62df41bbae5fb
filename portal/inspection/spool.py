"""Errors of the server's own folder for temporary files, in words: a full disk is no fault of the file's."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from portal.errors import Unavailable


@contextmanager
def spool_errors() -> Iterator[None]:
    """For code that reads and writes local files alone. Raises Unavailable (``spool_unavailable``) for OSError."""
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = "has no room left" if full else f"can't be written ({error.strerror})"
        raise Unavailable(
            f"The server's folder for temporary files {what}. The file waits until that is fixed.",
            code="spool_unavailable",
        ) from error


@contextmanager
def closing_spool(file: BinaryIO) -> Iterator[BinaryIO]:
    """Close a local file at the end: closing flushes what is left, which may fail as every write may."""
    try:
        yield file
    finally:
        with spool_errors():
            file.close()
