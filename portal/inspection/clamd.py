"""clamd's protocol: one connection, one command, one answer.

The ``clamd`` package sends 1 KiB at a time with ``send`` and sets its timeout only after connecting. Here whole chunks
go out with ``sendall``, and an answer that arrived before the daemon hung up ("size limit exceeded") is still read.
"""

from __future__ import annotations

import functools
import io
import socket
import struct
import zipfile
from typing import ClassVar, Self
from urllib.parse import urlsplit

from portal.database import assert_no_transaction

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""For a question that a daemon in order answers in a moment."""
SCAN_SECONDS = 1000.0
"""For a file: more than the shipped configuration's MaxScanTime (900 s), after which clamd itself gives up on it."""
DEFAULT_PORT = 3310
LONGEST_ANSWER = 64 * 1024
NESTED = 120  # archives in each other; clamd's MaxRecursion is at most 100


class LinkError(Exception):
    """The daemon can't be reached, or gave no answer. ``connected``: it had taken the connection.

    ``silent``: it let us wait until our patience was over.
    """

    def __init__(self, error: Exception | str, *, connected: bool) -> None:
        super().__init__(error if isinstance(error, str) else _words(error))
        self.connected = connected
        self.silent = isinstance(error, TimeoutError)


class Link:
    """A connection for one command."""

    CHUNK: ClassVar[int] = 1024 * 1024

    def __init__(self, url: str, patience: float = SCAN_SECONDS) -> None:
        """``unix:///path`` or ``tcp://host:port``; ``patience``: seconds without a sign of life. Raises LinkError."""
        assert_no_transaction()
        try:
            self._socket = _connect(url)
            self._socket.settimeout(patience)
        except (OSError, ValueError) as error:
            raise LinkError(error, connected=False) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def command(self, name: bytes) -> None:
        """Send a command. Raises LinkError."""
        self.send(b"z" + name + b"\0")

    def send(self, data: bytes) -> None:
        """Send all of it. Raises LinkError; an answer may still be waiting to be read."""
        try:
            self._socket.sendall(data)
        except OSError as error:
            raise LinkError(error, connected=True) from None

    def hand_over(self, descriptor: int) -> None:
        """FILDES: let the daemon read the file itself. Unix sockets only. Raises LinkError."""
        self.command(b"FILDES")
        try:
            socket.send_fds(self._socket, [b"\0"], [descriptor])
        except OSError as error:
            raise LinkError(error, connected=True) from None

    def answer(self) -> str:
        """The answer, without its terminator. Raises LinkError when the daemon hangs up before the end of it.

        Nothing after the terminator is part of it: where clamd could not keep a stream it says so, looks at what it
        has kept, and says "OK" of that in the same breath.
        """
        received = b""
        while b"\0" not in received and len(received) < LONGEST_ANSWER:
            try:
                more = self._socket.recv(4096)
            except OSError as error:
                raise LinkError(error, connected=True) from None
            if not more:
                raise LinkError("it hung up without an answer", connected=True)
            received += more
        return received.partition(b"\0")[0].decode("utf-8", "replace").strip()


class Stream:
    """INSTREAM: the bytes of one file, sent as they come. After an early answer (a limit) the rest is only counted."""

    def __init__(self, link: Link) -> None:
        self.size = 0
        self._link = link
        self._answer: str | None = None
        self._begun = False

    def feed(self, chunk: bytes) -> None:
        """Send one chunk. Raises LinkError."""
        self.size += len(chunk)
        if chunk and self._answer is None:
            self._begin()
            self._send(struct.pack("!L", len(chunk)))
            self._send(chunk)

    def finish(self) -> str:
        """End the stream and read the answer. Raises LinkError."""
        self._begin()
        self._send(struct.pack("!L", 0))
        return self._link.answer() if self._answer is None else self._answer

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._link.command(b"INSTREAM")

    def _send(self, data: bytes) -> None:
        if self._answer is not None:
            return
        try:
            self._link.send(data)
        except LinkError:
            self._answer = self._link.answer()


@functools.cache
def nested_archive() -> bytes:
    """A harmless archive nested deeper than clamd can be told to follow, about 10 KB.

    A daemon with ``AlertExceedsMax`` reports it; one without answers OK, as it does for every file it skipped.
    """
    content = b"Stowage asks whether limits are reported.\n"
    for _ in range(NESTED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(zipfile.ZipInfo("a"), content)
        content = buffer.getvalue()
    return content


def _connect(url: str) -> socket.socket:
    parts = urlsplit(url)
    if parts.scheme == "tcp":
        return socket.create_connection((parts.hostname or "", parts.port or DEFAULT_PORT), timeout=CONNECT_SECONDS)
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(CONNECT_SECONDS)
    try:
        connection.connect(url.removeprefix("unix://"))
    except OSError:
        connection.close()
        raise
    return connection


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
