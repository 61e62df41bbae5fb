"""Clamd daemons of a test's own: real ones with small limits, a signature database with a date or without, and a life
to end; and a fake that gives scripted answers, for what no real one can be made to say.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pwd
import shutil
import socket
import struct
import subprocess
import tarfile
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from portal.embedded.clamav import program
from portal.inspection.clamd import nested_archive
from tests.support.engines import EICAR

TEST_SIGNATURE = f"Eicar-Test-Signature:0:0:{EICAR.hex()}\n".encode()
LIMIT_BYTES = 8 * 1024 * 1024


class Daemon:
    """One clamd on a unix socket and a loopback port, in a folder of its own. A context manager."""

    def __init__(self, *, dated: bool = False, options: dict[str, str] | None = None) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="stowage-clamd-"))
        self.home.chmod(0o755)  # the daemon may run as another user
        database = self.home / "db"
        database.mkdir()
        name, content = ("daily.cud", dated_database()) if dated else ("test.ndb", TEST_SIGNATURE)
        (database / name).write_bytes(content)
        self.port = _free_port()
        self.unix = f"unix://{self.home / 'clamd.sock'}"
        self.tcp = f"tcp://127.0.0.1:{self.port}"
        self._write_configuration(database, options or {})
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        log = (self.home / "log").open("ab")
        command = [program("clamd") or "clamd", "--foreground", f"--config-file={self.home / 'clamd.conf'}"]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        log.close()
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None, (self.home / "log").read_text()
            assert time.monotonic() < deadline, "clamd did not come up"
            time.sleep(0.02)

    def kill(self) -> None:
        """End it as a crash would."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    def _answers(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            try:
                probe.connect(("127.0.0.1", self.port))
                probe.sendall(b"zPING\0")
                return probe.recv(16) == b"PONG\0"
            except OSError:
                return False

    def _write_configuration(self, database: Path, options: dict[str, str]) -> None:
        settings = {
            "LocalSocket": str(self.home / "clamd.sock"),
            "TCPSocket": str(self.port),
            "TCPAddr": "127.0.0.1",
            "FixStaleSocket": "yes",
            "DatabaseDirectory": str(database),
            "TemporaryDirectory": str(self.home),
            "User": pwd.getpwuid(os.geteuid()).pw_name,
            "MaxFileSize": str(LIMIT_BYTES),
            "MaxScanSize": str(LIMIT_BYTES),  # above MaxFileSize, clamd would silently skip larger members of a zip
            "StreamMaxLength": str(LIMIT_BYTES),
            "AlertExceedsMax": "yes",
            "AlertEncryptedArchive": "yes",
            "AlertEncryptedDoc": "yes",
            "AlertOLE2Macros": "yes",
            **options,
        }
        lines = "".join(f"{name} {value}\n" for name, value in settings.items())
        (self.home / "clamd.conf").write_text(lines, encoding="utf-8")


class FakeClamd:
    """A server that speaks clamd's protocol and answers with ``answer(command, content)``; None: it stays silent.

    ``commands`` are those received so far. A context manager.
    """

    def __init__(self, answer: Callable[[str, bytes], str | None]) -> None:
        self.answer = answer
        self.commands: list[str] = []
        self._home = tempfile.mkdtemp(prefix="stowage-fake-")
        self._tcp = socket.create_server(("127.0.0.1", 0))
        self._unix = socket.socket(socket.AF_UNIX)
        self._unix.bind(f"{self._home}/clamd.sock")
        self._unix.listen()
        self.unix = f"unix://{self._home}/clamd.sock"
        self.tcp = f"tcp://127.0.0.1:{self._tcp.getsockname()[1]}"
        self._connections: list[socket.socket] = []

    def __enter__(self) -> Self:
        for server in (self._tcp, self._unix):
            threading.Thread(target=self._serve, args=(server,), name="fake", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._tcp, self._unix, *self._connections):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        shutil.rmtree(self._home, ignore_errors=True)

    def _serve(self, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                self._connections.append(connection)
                threading.Thread(target=self._answer, args=(connection,), name="fake-line", daemon=True).start()

    def _answer(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            command = _command(connection)
            content = {"FILDES": _passed, "INSTREAM": _streamed}.get(command, lambda _: b"")(connection)
            self.commands.append(command)
            answer = self.answer(command, content)
            if answer is not None:
                connection.sendall(answer.encode() + b"\n")
                connection.close()


def usual_answer(command: str, content: bytes) -> str:
    """The answer of a clamd that knows EICAR alone and reports its limits."""
    if command not in ("FILDES", "INSTREAM"):
        return {"VERSION": "ClamAV 1.4.6/27817/Mon Nov 23 10:24:00 2026", "RELOAD": "RELOADING"}[command]
    if content == nested_archive():
        return "stream: Heuristics.Limits.Exceeded.MaxRecursion FOUND"
    return "stream: Eicar-Test-Signature FOUND" if EICAR in content else "stream: OK"


def _command(connection: socket.socket) -> str:
    read = b""
    while (byte := connection.recv(1)) not in (
        b"",
        b"\n",
    ):  # one at a time: a descriptor comes with the byte after these
        read += byte
    return read.removeprefix(b"n").decode()


def _passed(connection: socket.socket) -> bytes:
    _, (descriptor,), _, _ = socket.recv_fds(connection, 1, 1)
    try:
        return os.pread(descriptor, os.fstat(descriptor).st_size, 0)
    finally:
        os.close(descriptor)


def _streamed(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as stream:
        content = b""
        while size := struct.unpack("!L", stream.read(4))[0]:
            content += stream.read(size)
        return content


def dated_database(version: int = 27817) -> bytes:
    """A ``daily.cud``: ClamAV's unsigned form of its dated database, holding EICAR's signature alone."""
    header = f"ClamAV-VDB:23 Nov 2026 10-24 +0000:{version}:1:90:{'0' * 32}:none:test:1795429440".encode()
    listed = f"daily.ndb:{len(TEST_SIGNATURE)}:{hashlib.sha256(TEST_SIGNATURE).hexdigest()}".encode()
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in (
            ("COPYING", b"none"),
            ("daily.info", header + b"\n" + listed + b"\n"),
            ("daily.ndb", TEST_SIGNATURE),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return header.ljust(512) + archive.getvalue()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
