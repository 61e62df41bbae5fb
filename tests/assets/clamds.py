"""Real clamd daemons of a test's own: small limits, a signature database with a date or without, a life to end."""

from __future__ import annotations

import hashlib
import io
import os
import pwd
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Self

from portal.embedded.clamav import program
from tests.engines import EICAR

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
