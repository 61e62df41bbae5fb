"""Errors of the server's folder for temporary files: a full disk must not fail the file."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from portal.errors import Unavailable
from portal.texts import Text


@contextmanager
def spool_errors() -> Iterator[None]:
    """For code that reads and writes local files alone. Raises Unavailable (``spool_unavailable``) for OSError."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            detail = Text("The server's folder for temporary files is full. The file waits until that is fixed.")
        else:
            detail = Text(
                "The server's folder for temporary files can't be written to (%(error)s). The file waits until that "
                "is fixed.",
                error=error.strerror,
            )
        raise Unavailable(detail, code="spool_unavailable") from error


@contextmanager
def closing_spool(file: BinaryIO) -> Iterator[BinaryIO]:
    """Close a local file at the end: closing flushes what is left, which may fail as every write may."""
    try:
        yield file
    finally:
        with spool_errors():
            file.close()
