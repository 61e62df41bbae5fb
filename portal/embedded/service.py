"""One long-lived child process: started, checked whether it is ready, and stopped with all its descendants."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import psutil

from portal.embedded.accounts import Account
from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder, write_private
from portal.embedded.processes import end, family_of

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_LOG_LIMIT = 10 * 1024 * 1024  # bytes; a log that is longer is set aside, and replaces the one set aside before
_libc = ctypes.CDLL(None)


class Service:
    """A child process in its own session. Engines and the Procfile's processes are services."""

    stop_signal: signal.Signals = signal.SIGTERM
    stop_seconds: float = 10.0
    pause_after_death: float | None = None  # seconds until it is started again; None: soon, then given up
    account: Account | None = None
    stdin: int = subprocess.DEVNULL

    def __init__(self, name: str, folder: DataFolder) -> None:
        self.name = name
        self.folder = folder
        self.process: subprocess.Popen[bytes] | None = None

    # What differs from service to service.

    def prepare(self) -> None:
        """What must be true before each start: configuration written, leftovers of a crash removed."""

    def command(self) -> list[str]:
        """Program and arguments. Secrets do not belong here: everyone can read them."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """Only what a program needs: not the caller's credentials and proxies."""
        return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8", "TZ": "UTC"}

    def working_folder(self) -> Path:
        """Where the process runs."""
        return self.folder.path

    def ready(self) -> bool:
        """Whether it can be used. Polled, so it must return at once."""
        return self.running()

    def output(self) -> IO[bytes] | None:
        """Where its output goes: a log file, or None for our own terminal."""
        return self.log_file.open("ab")

    # What is the same for all services.

    @property
    def log_file(self) -> Path:
        """Its log, when it does not write to our terminal."""
        return self.folder.log / f"{self.name}.log"

    @property
    def pid_file(self) -> Path:
        """Its process id and start time, for the next start after we were killed."""
        return self.folder.run / f"{self.name}.json"

    def start(self) -> None:
        """Start the process; call it from the main thread. Raises ``StackError`` when the program can't be run."""
        self.prepare()
        out = self.output()
        try:
            self.process = subprocess.Popen(
                self.command(),
                cwd=self.working_folder(),
                env=self.environment(),
                stdin=self.stdin,
                stdout=out,
                stderr=subprocess.STDOUT if out else None,
                start_new_session=True,
                preexec_fn=_die_with_parent(self.stop_signal),  # noqa: PLW1509 - the supervisor has one thread
                **as_user(self.account),
            )
        except OSError as error:
            raise StackError(f"{self.name} can't be started: {error.strerror or error}") from None
        finally:
            if out:
                out.close()
        with contextlib.suppress(psutil.NoSuchProcess):
            started = psutil.Process(self.process.pid).create_time()
            write_private(self.pid_file, {"pid": self.process.pid, "started": started})

    def running(self) -> bool:
        """Whether the process is alive."""
        return self.process is not None and self.process.poll() is None

    def wait_until_ready(self, seconds: float = 30.0) -> None:
        """Block until it is ready. Raises ``StackError`` with the end of its log when it dies or takes too long."""
        deadline = time.monotonic() + seconds
        while not self.ready():
            if not self.running():
                raise StackError(f"{self.name} stopped while starting.\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise StackError(f"{self.name} was not ready after {seconds:.0f} s.\n{self.log_tail()}")
            time.sleep(0.02)

    def restart(self, seconds: float = 30.0) -> None:
        """Start it again and wait until it is ready."""
        self.start()
        self.wait_until_ready(seconds)

    def trim_log(self) -> None:
        """Move a long log aside, while the process writes to it: it only appends."""
        path = self.log_file
        if path.exists() and path.stat().st_size > _LOG_LIMIT:
            shutil.copyfile(path, path.with_suffix(".log.1"))
            os.truncate(path, 0)

    def log_tail(self, lines: int = 12) -> str:
        """The end of its log, for a person."""
        try:
            text = self.log_file.read_text(encoding="utf-8", errors="replace")
        except OSError:
            return ""
        return f"The end of {self.log_file}:\n" + "\n".join(f"    {line}" for line in text.splitlines()[-lines:])

    def ask_to_stop(self) -> None:
        """Send its stop signal and return at once."""
        if self.process is not None and self.running():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, self.stop_signal)

    def stop(self, seconds: float | None = None) -> None:
        """Send the stop signal, wait ``seconds`` (None: ``stop_seconds``), then kill it and its descendants."""
        if self.process is not None:
            family = family_of(self.process.pid)
            self.ask_to_stop()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(self.stop_seconds if seconds is None else seconds)
            end(family)
            self.process.wait()
        self.process = None
        self.pid_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """kill -9 of the process alone, as a crash would do it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def _die_with_parent(stop_signal: signal.Signals) -> Callable[[], None]:
    """Run in the child before the program: it gets its stop signal when we die, even by kill -9 (prctl(2))."""

    def ask_the_kernel() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(stop_signal), 0, 0, 0)

    return ask_the_kernel


def as_user(account: Account | None) -> dict[str, Any]:
    """The arguments of ``subprocess`` that start a program as this account."""
    return {"user": account.uid, "group": account.gid, "extra_groups": []} if account else {}
