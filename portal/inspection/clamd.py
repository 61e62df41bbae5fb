"""clamd over a unix socket or TCP: the ``clamd`` package's commands, parser and exceptions; files are sent by us.

The package sends 1 KiB at a time with ``send`` (which may send less than it was given), sets its timeout only after
connecting, does not know FILDES, and loses an answer that came before the daemon closed the connection. ``ClamdClient``
replaces those parts. It uses methods of the package that begin with an underscore, so the package is pinned exactly.
"""

from __future__ import annotations

import functools
import io
import socket
import struct
import zipfile
from typing import ClassVar, Self
from urllib.parse import urlsplit

import clamd

from portal.database import assert_no_transaction

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 10.0
"""For a command that a healthy daemon answers at once."""
SCAN_SECONDS = 150.0
"""For a file: 30 s more than the shipped configuration's MaxScanTime, which is ClamAV's own default, in case the file
waits for a thread of clamd's. A worker waits meanwhile: archives made to be slow (23 MB of them) kept two workers for
ten minutes when this was 1,000 s."""
DEFAULT_PORT = 3310
MAX_ANSWER_BYTES = 64 * 1024
NESTING = 120  # archives inside each other; clamd's MaxRecursion is at most 100
_TOO_LONG = "INSTREAM size limit exceeded. ERROR"


class ClamdClient(clamd.ClamdNetworkSocket):  # type: ignore[misc]  # the package has no type hints
    """One connection for one command; not safe to share between threads.

    ``version()``, ``reload()`` and ``ping()`` are the package's and connect by themselves; a file is scanned inside
    ``with``. Everything may raise the package's ``ConnectionError`` (its ``__cause__`` is a TimeoutError where the
    daemon stayed silent) and ``ResponseError``.
    """

    CHUNK: ClassVar[int] = 1024 * 1024

    def __init__(self, url: str, timeout: float = SCAN_SECONDS) -> None:
        """``url``: ``unix:///path`` or ``tcp://host:port``; ``timeout``: seconds to wait for each answer."""
        assert_no_transaction()
        super().__init__(timeout=timeout)
        self.url = url
        self.sent_bytes = 0
        self._streaming = False
        self._early_answer: str | None = None

    def __enter__(self) -> Self:
        self._init_socket()
        return self

    def __exit__(self, *_: object) -> None:
        self._close_socket()

    def scan_descriptor(self, descriptor: int) -> str | None:
        """FILDES: let the daemon read an open file itself; only over a unix socket.

        Returns the name of what was found, or None for "OK". Raises ResponseError for an answer that is an error.
        """
        self._send_command("FILDES")
        try:
            socket.send_fds(self.clamd_socket, [b"\0"], [descriptor])
        except OSError as error:
            raise _connection_error(error) from error
        return self._verdict(self._recv_response())

    def send(self, chunk: bytes) -> None:
        """INSTREAM: send the next bytes of a file. After an early answer (a limit) the rest is only counted."""
        self.sent_bytes += len(chunk)
        if chunk:
            self._send_stream(struct.pack("!L", len(chunk)), chunk)

    def finish(self) -> str | None:
        """End the stream. As ``scan_descriptor``; raises BufferTooLongError, too, when it exceeded StreamMaxLength."""
        self._send_stream(struct.pack("!L", 0))
        return self._verdict(self._recv_response() if self._early_answer is None else self._early_answer)

    def _init_socket(self) -> None:
        try:
            self.clamd_socket = _connect(self.url)
            self.clamd_socket.settimeout(self.timeout)
        except (OSError, ValueError) as error:
            raise _connection_error(error) from error

    def _send_command(self, cmd: str, *args: str) -> None:
        self._send_all(f"n{' '.join((cmd, *args))}\n".encode())

    def _send_all(self, data: bytes) -> None:
        try:
            self.clamd_socket.sendall(data)
        except OSError as error:
            raise _connection_error(error) from error

    def _send_stream(self, *parts: bytes) -> None:
        if self._early_answer is not None:
            return
        try:
            if not self._streaming:
                self._streaming = True
                self._send_command("INSTREAM")
            for part in parts:
                self._send_all(part)
        except clamd.ConnectionError:
            # Above StreamMaxLength clamd answers and closes the connection in the middle of our stream: the answer
            # that explains the broken pipe is still in our receive buffer.
            self._early_answer = self._recv_response()

    def _recv_response(self) -> str:
        """The first line of the answer. Raises ConnectionError when the daemon closes the connection before it.

        Nothing after the first line counts: a clamd that can't store a stream says so, scans what it has stored, and
        adds "stream: OK".
        """
        try:
            with self.clamd_socket.makefile("rb") as answer:
                line: bytes = answer.readline(MAX_ANSWER_BYTES)
        except OSError as error:
            raise _connection_error(error) from error
        if not line.endswith(b"\n"):
            raise clamd.ConnectionError("it closed the connection without an answer")
        return line.decode("utf-8", "replace").strip()

    def _verdict(self, answer: str) -> str | None:
        if answer == _TOO_LONG:
            raise clamd.BufferTooLongError(answer)
        _path, name, status = self._parse_response(answer)
        if status == "ERROR":
            raise clamd.ResponseError(name)
        return str(name) if status == "FOUND" else None


@functools.cache
def nested_archive() -> bytes:
    """A harmless archive nested deeper than clamd can be configured to follow, about 10 KB.

    A daemon with ``AlertExceedsMax`` reports it; one without answers OK, as it does for every file it skipped.
    """
    content = b"Stowage tests whether limits are reported.\n"
    for _ in range(NESTING):
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


def _connection_error(error: Exception) -> clamd.ConnectionError:
    return clamd.ConnectionError(getattr(error, "strerror", None) or str(error) or type(error).__name__)
