"""The system user that an engine runs as.

Postgres refuses to run as root, and a virus scanner that reads hostile files should not. Started by an ordinary user
everything runs as that user.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from portal.embedded.faults import StackError

DATABASE_USER = "stowage-postgres"
SCANNER_USER = "clamav"


@dataclass(frozen=True)
class Account:
    """A system user that a child process is started as."""

    name: str
    uid: int
    gid: int

    def can_enter(self, folder: Path) -> bool:
        """Whether the mode bits let this account step into exactly this folder."""
        found = folder.stat()
        if found.st_uid == self.uid:
            return bool(found.st_mode & stat.S_IXUSR)
        if found.st_gid == self.gid:
            return bool(found.st_mode & stat.S_IXGRP)
        return bool(found.st_mode & stat.S_IXOTH)

    def barrier(self, path: Path) -> Path | None:
        """The outermost existing folder on the way to ``path`` that this account can't enter, or None."""
        whole = path.resolve()
        for folder in [*reversed(whole.parents), whole]:
            if folder.is_dir() and not self.can_enter(folder):
                return folder
        return None

    def own(self, folder: Path) -> None:
        """Give a folder, and everything in it, to the account. Never follows a link.

        The account itself may change the folder meanwhile. So every step is relative to an open folder, never by a
        path whose parts could be replaced by links, and a file with a second name, which may stand elsewhere, is
        passed over.
        """
        for _path, folders, files, handle in os.fwalk(folder, follow_symlinks=False):
            os.fchown(handle, self.uid, self.gid)
            for name in [*folders, *files]:
                entry = os.stat(name, dir_fd=handle, follow_symlinks=False)
                if stat.S_ISDIR(entry.st_mode) or entry.st_nlink == 1:
                    os.chown(name, self.uid, self.gid, dir_fd=handle, follow_symlinks=False)


def database_account() -> Account | None:
    """The database's own system user, made when missing; None when we are not root. Raises ``StackError``."""
    if os.geteuid() != 0:
        return None
    # useradd checks the name before it takes its own lock: of two that run at once the later one gives the user
    # another id, and what the earlier one owns belongs to nobody. The lock is among our own processes.
    with Path("/etc/passwd").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return _find(DATABASE_USER) or _create(DATABASE_USER)


def scanner_account() -> Account | None:
    """The user that Debian's ClamAV brings; None when we are not root or it does not exist."""
    return _find(SCANNER_USER) if os.geteuid() == 0 else None


def _find(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(name, entry.pw_uid, entry.pw_gid)


def _create(name: str) -> Account:
    useradd = shutil.which("useradd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    advice = f"Start as an ordinary user, or make the system user '{name}' yourself."
    if useradd is None:
        raise StackError(f"Postgres refuses to run as root, and useradd is missing, so no user can be made. {advice}")
    options = [
        "--system",
        "--user-group",
        "--no-create-home",
        "--home-dir",
        "/nonexistent",
        "--shell",
        "/usr/sbin/nologin",
    ]
    done = subprocess.run([useradd, *options, name], capture_output=True, text=True, check=False)
    account = _find(name)
    if account is None:
        raise StackError(
            f"Postgres refuses to run as root, and its user could not be made: {done.stderr.strip()}. {advice}"
        )
    return account
