"""The data folder: where everything of one embedded stack is, and who may enter it.

As root the stack writes into folders of other users (clamd's, Postgres'), any of which may be in an attacker's hands.
So what root writes for an engine is in ``configuration``, a folder that the engine's user can only read; whatever root
does inside an engine's own folder follows no link.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import stat
import tempfile
from pathlib import Path
from typing import Any

from portal.embedded.accounts import Account
from portal.embedded.faults import StackError

# Where an engine with its own system user keeps its files when that user can't enter the data folder.
FALLBACK = Path("/var/lib/stowage")
NEW_STACK = 100 << 20  # bytes; a database, a store and a queue with nothing in them take half of it
SOCKET_PATH_LIMIT = 107  # bytes; sun_path of unix(7) less its closing zero


class DataFolder:
    """Paths below one data folder. ``open`` creates it; its files are private to its owner."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.run = self.path / "run"
        self.log = self.path / "log"
        self.state = self.run / "state.json"
        self.notes: list[str] = []
        self._identity = self.path / "elsewhere"
        self._lock: int | None = None
        self._short_run: Path | None = None

    def open(self) -> None:
        """Create the folders. Raises ``StackError`` naming the folder that can't be written."""
        try:
            # Passable, not listable: root's engines step down to their own users, who must get to their own folders.
            self.path.mkdir(parents=True, exist_ok=True, mode=0o711)
            for folder in (self.run, self.log):
                folder.mkdir(exist_ok=True, mode=0o700)
            with tempfile.TemporaryFile(dir=self.path) as probe:
                probe.write(bytes(4096))  # on a full disk empty files can still be made
            free = shutil.disk_usage(self.path).free
        except OSError as error:
            raise StackError(_unwritable(self.path, error)) from None
        if free < NEW_STACK and not (self.path / "secrets.json").exists():
            raise StackError(
                f"The disk of the data folder {self.path} has {free >> 20} MB left; "
                f"a new stack needs {NEW_STACK >> 20}. "
                "Free some space, or choose another: PORTAL_DATA_DIR=/path/to/folder"
            )

    def lock(self) -> None:
        """Lock the folder until this process ends, however it ends. Raises ``StackError`` when another has it."""
        handle = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(handle)
            raise StackError(
                f"Stowage is already running in {self.path}. Stop it first (Ctrl-C where it runs), "
                "or choose another folder and port: PORTAL_DATA_DIR=… PORTAL_PORT=…"
            ) from None
        self._lock = handle

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def home(self, engine: str, account: Account | None) -> Path:
        """The folder of one engine, owned by its user; outside the data folder when that user can't get there."""
        home = self._parent(engine, account) / engine
        home.mkdir(parents=True, exist_ok=True, mode=0o755)
        if account and home.stat().st_uid != account.uid:
            account.own(home)
        home.chmod(0o700)
        return home

    def configuration(self, engine: str, account: Account | None) -> Path:
        """The folder for what we write and one engine reads: ours, so that the engine's user can't put links there.

        Raises ``StackError`` when it is not ours.
        """
        folder = self._parent(engine, account) / "configuration"
        folder.mkdir(parents=True, exist_ok=True, mode=0o755)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StackError(f"{folder} belongs to someone else. Remove it, and start again.")
        folder.chmod(0o711)  # passable: engines of several users have their own folders in it
        own = folder / engine
        own.mkdir(exist_ok=True)
        own.chmod(0o755 if account else 0o700)
        return own

    def _parent(self, engine: str, account: Account | None) -> Path:
        barrier = account.barrier(self.path) if account else None
        fallback = self.fallback() if barrier or self._identity.exists() else None
        # What once began in the fallback stays there: opening the folder later must not bring up an empty database.
        if account and fallback and (barrier or (fallback / engine).exists()):
            self._explain(account, barrier)
            return fallback
        return self.path

    def fallback(self) -> Path:
        """The folder that replaces this one where an engine's user can't enter. Its name is kept in the data folder."""
        if not self._identity.exists():
            self._identity.write_text(secrets.token_hex(6), encoding="ascii")
        return FALLBACK / self._identity.read_text(encoding="ascii").strip()

    def socket(self, home: Path, name: str) -> Path:
        """A path for a unix socket: inside ``home``, or in a short private folder when that is too long."""
        path = home / name
        if len(os.fsencode(path)) <= SOCKET_PATH_LIMIT:
            return path
        owner = home.stat()
        short = Path(tempfile.gettempdir()) / f"stowage-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
        short.mkdir(mode=0o700, exist_ok=True)
        # Anybody may have made this name first, as a link to a folder of ours, too.
        found = short.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (owner.st_uid, os.geteuid()):
            raise StackError(f"{short} belongs to someone else. Remove it, or choose a shorter PORTAL_DATA_DIR.")
        os.chown(short, owner.st_uid, owner.st_gid, follow_symlinks=False)
        self._short_run = short
        return short / name

    def _explain(self, account: Account, barrier: Path | None) -> None:
        if barrier and not self.notes:
            self.notes.append(
                f"The database's files are in {self.fallback()}: its user '{account.name}' can't enter {barrier}. "
                "To have all in one place, start with a folder that others may enter: PORTAL_DATA_DIR=/srv/stowage"
            )

    def remove(self) -> None:
        """Delete everything of this stack, wherever it is (for tests)."""
        away = self.fallback() if self._identity.exists() else None
        for path in (away, self.path, self._short_run):
            if path is not None:
                shutil.rmtree(path, ignore_errors=True)


def write_private(path: Path, content: Any) -> None:
    """Write JSON that only the owner can read, whole or not at all."""
    write_private_text(path, json.dumps(content, indent=1))


def write_private_text(path: Path, content: str, reader: Account | None = None) -> None:
    """Write a file that only its owner can read, whole or not at all; ``reader`` may read it, too, and not write it.

    Never follows a link: neither a planted one for the partial file, nor one at ``path``, which is replaced.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.unlink(missing_ok=True)
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            if reader is not None:
                os.fchown(file.fileno(), -1, reader.gid)
                os.fchmod(file.fileno(), 0o640)
            file.write(content)
        partial.replace(path)
    except OSError:
        partial.unlink()
        raise


def touch_private(path: Path) -> None:
    """Make an empty file in place of whatever stands there; never through a link."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600))


def make_folder(path: Path, account: Account | None) -> None:
    """Make a folder for ``account`` inside of a folder that belongs to it; a link that stands there is removed."""
    if path.is_symlink():
        path.unlink()
    with contextlib.suppress(FileExistsError):
        path.mkdir(mode=0o700)
    if account:
        os.chown(path, account.uid, account.gid, follow_symlinks=False)


def _unwritable(path: Path, error: OSError) -> str:
    another = "choose another: PORTAL_DATA_DIR=/path/to/folder"
    if error.errno == errno.ENOSPC:
        return f"The disk of the data folder {path} is full. Free some space, or {another}"
    reason = (error.strerror or str(error)).lower()
    return f"The data folder {path} can't be written ({reason}). Make it writable, or {another}"


def free_socket(path: Path) -> None:
    """Remove a socket file that nobody listens on any more."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
