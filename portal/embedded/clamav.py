"""The embedded virus scanner: clamd where ClamAV is installed and has signatures, and the program that renews them."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path

import psutil

from portal.embedded.accounts import Account, scanner_account
from portal.embedded.folder import DataFolder, free_socket, make_folder, touch_private, write_private_text
from portal.embedded.service import Service

SIGNATURES = Path("/var/lib/clamav")
INSTALL = "apt-get install clamav-daemon clamav-freshclam && freshclam"
# ClamAV can't look into files of 2 GiB and more (clamd.conf(5)); everything that may be uploaded is smaller.
LARGEST = "2047M"
STALE_AFTER = 2  # days; ClamAV publishes every day
# A file beside the socket while there are no signatures: files are then marked as not scanned, and do not wait.
NOTE = ".waits-for-signatures"
REQUEST_FILE = "update-signatures"  # a file in run/: created by the portal to have freshclam check now
_PATH = "/usr/local/sbin:/usr/sbin:/sbin"


def program(name: str) -> str | None:
    """Where a program of ClamAV is installed; Debian keeps the daemon outside an ordinary user's PATH."""
    return shutil.which(name, path=f"{os.environ.get('PATH', os.defpath)}:{_PATH}")


def has_signatures(folder: Path) -> bool:
    """Whether the folder holds anything that clamd can load; it refuses to start without."""
    try:
        return any(
            entry.suffix in (".cvd", ".cld", ".cud", ".ndb", ".hdb", ".hsb", ".ldb") for entry in folder.iterdir()
        )
    except OSError:
        return False


def what_is_missing(test_database: Path | None) -> str | None:
    """One sentence with the command that adds it, or None when files can be scanned."""
    if program("clamd") is None:
        return f"Files are not scanned: ClamAV is not installed. To add it, run: {INSTALL}"
    folder = test_database or SIGNATURES
    if not has_signatures(folder):
        return (
            f"Files are not scanned: ClamAV has no signatures in {folder}. To get them, run: freshclam. "
            "As soon as they are there, the scanner is started, and what was taken in is scanned."
        )
    return None


class Clamd(Service):
    """The daemon on a private socket, with limits that take the largest allowed upload."""

    stop_seconds = 20.0  # it finishes the scan at hand

    def __init__(self, folder: DataFolder, test_database: Path | None = None, *, image_hashes: bool = False) -> None:
        super().__init__("clamd", folder)
        self.account = scanner_account()
        self.home = folder.home("clamav", self.account)
        self.configuration_folder = folder.configuration("clamav", self.account)
        self.socket = folder.socket(self.home, "clamd.sock")
        self.test_database = test_database
        self.image_hashes = image_hashes

    @property
    def url(self) -> str:
        """The value of PORTAL_SCANNER_URL."""
        return f"unix://{self.socket}"

    def can_start(self) -> bool:
        """Whether there are signatures to load; while there are none, a note for the portal's processes says so."""
        found = has_signatures(self.test_database or SIGNATURES)
        note = self.socket.with_name(self.socket.name + NOTE)
        note.unlink(missing_ok=True) if found else touch_private(note)
        return found

    def prepare(self) -> None:
        """Write the configuration, copy a test database to where the daemon's user can read it, free the socket."""
        database = SIGNATURES
        if self.test_database is not None:
            database = self.configuration_folder / "test-database"
            shutil.rmtree(database, ignore_errors=True)
            shutil.copytree(self.test_database, database, copy_function=shutil.copyfile)
            database.chmod(0o755)  # the daemon's user has to read it, whatever mode the original has
            for file in database.iterdir():
                file.chmod(0o644)
        temporary = self.home / "tmp"
        make_folder(temporary, self.account)
        settings = "\n".join(self._settings(database, temporary)) + "\n"
        write_private_text(self.configuration, settings, reader=self.account)
        free_socket(self.socket)

    def command(self) -> list[str]:
        """The daemon in the foreground."""
        return [program("clamd") or "clamd", "--foreground", f"--config-file={self.configuration}"]

    def working_folder(self) -> Path:
        """Its own folder."""
        return self.home

    def ready(self) -> bool:
        """Whether it answers; with the public signatures it loads for ten seconds and more before it does."""
        if not self.running():
            return False
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(1)
            try:
                probe.connect(str(self.socket))
                probe.sendall(b"zPING\0")
                return probe.recv(16).startswith(b"PONG")
            except OSError:
                return False

    @property
    def configuration(self) -> Path:
        """Its settings, written at each start."""
        return self.configuration_folder / "clamd.conf"

    def _settings(self, database: Path, temporary: Path) -> list[str]:
        return [
            f"LocalSocket {self.socket}",
            "LocalSocketMode 600",
            "FixStaleSocket yes",
            f"DatabaseDirectory {database}",
            f"TemporaryDirectory {temporary}",
            "LogTime yes",
            f"StreamMaxLength {LARGEST}",
            # The same: where MaxScanSize is the larger one, members of a zip above MaxFileSize are skipped in silence.
            f"MaxFileSize {LARGEST}",
            f"MaxScanSize {LARGEST}",
            # Of 10,000, the default, photo libraries and source trees have more. 100,000 take about a minute.
            "MaxFiles 100000",
            # Milliseconds. What takes longer counts as too large to scan, like everything that exceeds a limit.
            # ClamAV's own default; archives can be made to be slow. Less than portal.inspection.clamd.SCAN_SECONDS.
            "MaxScanTime 120000",
            # Without this a file above a limit is answered "OK" although nobody looked into it.
            "AlertExceedsMax yes",
            # Nobody can look into these either: a verdict of its own.
            "AlertEncryptedArchive yes",
            "AlertEncryptedDoc yes",
            # Said only where no virus was found; the tenant's rules decide.
            "AlertOLE2Macros yes",
            # Picture fingerprints recognise the images of phishing mails and make photos 5 to 9 times slower to scan.
            f"ScanImageFuzzyHash {'yes' if self.image_hashes else 'no'}",
        ]


class Freshclam(Service):
    """Keeps the signatures up to date. It may fail (no network, no rights) without harm: retried in an hour."""

    pause_after_death = 3600.0

    def __init__(self, folder: DataFolder, clamd: Clamd | None) -> None:
        super().__init__("freshclam", folder)
        self.clamd = clamd
        self.account: Account | None = scanner_account()
        self.home = folder.home("clamav", self.account)
        self.configuration = folder.configuration("clamav", self.account) / "freshclam.conf"

    def prepare(self) -> None:
        """Write its configuration: twelve checks a day, and the daemon is notified after each change."""
        lines = [f"DatabaseDirectory {SIGNATURES}", "DatabaseMirror database.clamav.net", "Checks 12"]
        lines += [f"NotifyClamd {self.clamd.configuration}"] if self.clamd else []
        lines += [f"DatabaseOwner {self.account.name}"] if self.account else []
        write_private_text(self.configuration, "\n".join(lines) + "\n", reader=self.account)

    def command(self) -> list[str]:
        """The program as a daemon in the foreground."""
        return [program("freshclam") or "freshclam", "--daemon", "--foreground", f"--config-file={self.configuration}"]

    def working_folder(self) -> Path:
        """The scanner's folder."""
        return self.home

    def poll(self) -> None:
        """Check for new signatures now, when the portal has requested it."""
        if self.request_file.exists():
            self.request_file.unlink()
            if self.process is not None and self.running():
                os.kill(self.process.pid, signal.SIGUSR1)  # freshclam(1): check now

    @property
    def request_file(self) -> Path:
        """The file with which the portal requests a check."""
        return self.folder.run / REQUEST_FILE


def update_status() -> tuple[bool, str | None]:
    """Whether a freshclam of ours should run, and a note about the age of the signatures, or None."""
    age = _age_in_days()
    old = f"The virus signatures are {age} days old. " if age is not None and age > STALE_AFTER else None
    if any(process.info["name"] == "freshclam" for process in psutil.process_iter(["name"])):
        return False, old and f"{old}A freshclam is already running: look into its log."
    if program("freshclam") is None:
        return (
            False,
            f"{old or ''}Virus signatures are not updated. To update them, run: apt-get install clamav-freshclam",
        )
    if not os.access(SIGNATURES, os.W_OK):
        return False, (
            f"{old or ''}Virus signatures are not updated from here: this user can't write {SIGNATURES}. "
            "As root, run: service clamav-freshclam start"
        )
    return True, old and f"{old}freshclam tries to update them now."


def _age_in_days() -> int | None:
    """Days since the newest signatures arrived; None when there are none."""
    try:
        times = [entry.stat().st_mtime for entry in SIGNATURES.iterdir() if entry.suffix in (".cvd", ".cld")]
    except OSError:
        return None
    return int((time.time() - max(times)) // 86_400) if times else None
