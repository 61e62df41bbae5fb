"""A web application as the Procfile serves it: the portal itself, or a peer with the same server and options.

with served("portal.wsgi:app", environment, folder) as site:
    site.address; site.usage()
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent
PORTAL = "portal.wsgi:app"
OUR_WORKER = "portal.web.server.BufferedWorker"
STARTUP_SECONDS = 60  # seconds until a server answers


@dataclass(frozen=True)
class Usage:
    """What a process and its children have used so far; seconds of CPU, bytes of private memory at their peak."""

    cpu: float
    memory: int


@dataclass(frozen=True)
class Running:
    """A process of ours with all its children; a web server listens on ``port`` of the loopback interface."""

    process: psutil.Process
    port: int = 0

    def usage(self) -> Usage:
        """User and system time, those of children that ended included, and the sum of peaks since ``forget_peaks``."""
        family = self._family()
        ended = [each.cpu_times() for each in family]
        cpu = sum(_cpu(each.pid) for each in family) + sum(each.children_user + each.children_system for each in ended)
        return Usage(cpu, sum(_peak(each.pid) for each in family))

    def forget_peaks(self) -> None:
        """Let peaks of memory begin at what is held now."""
        for each in self._family():
            Path(f"/proc/{each.pid}/clear_refs").write_text("5", encoding="ascii")

    def _family(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def served(
    application: str,
    environment: Mapping[str, str],
    folder: Path,
    port: int | None = None,
    worker_class: str | None = None,
) -> Iterator[Running]:
    """Serve ``application`` (module:name) as the Procfile's line serves the portal; its output goes to ``folder``.

    ``worker_class``: another of gunicorn's, with the same processes and threads. Ours takes no body over 2 MiB.
    """
    port = port or free_port()
    line = _line("web").replace(PORTAL, application)
    if worker_class is not None:
        line = line.replace(OUR_WORKER, worker_class)
    with _started(line, {**environment, "PORT": str(port)}, folder / f"{application.partition(':')[0]}.log") as process:
        _wait_for(port, process)
        yield Running(process, port)


@contextmanager
def started(name: str, environment: Mapping[str, str], folder: Path) -> Iterator[Running]:
    """One process of the Procfile, e.g. ``worker``."""
    with _started(_line(name), environment, folder / f"{name}.log") as process:
        yield Running(process)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        found: int = probe.getsockname()[1]
    return found


@contextmanager
def _started(line: str, environment: Mapping[str, str], log: Path) -> Iterator[psutil.Process]:
    path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    with log.open("wb") as output:
        child = subprocess.Popen(
            ["/bin/sh", "-c", line],
            cwd=ROOT,
            env={**os.environ, **environment, "PATH": path},
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield psutil.Process(child.pid)
    finally:
        child.terminate()
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()


def _line(name: str) -> str:
    """The Procfile's command for one process."""
    found = re.search(rf"^{re.escape(name)}: *(.+)$", (ROOT / "Procfile").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None or not shlex.split(found[1]):
        raise LookupError(f"the Procfile names no {name}")
    return found[1]


def _wait_for(port: int, process: psutil.Process) -> None:
    until = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < until and process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing answers on port {port}")


def _cpu(pid: int) -> float:
    """Seconds of user and system time of all threads: clock_getcpuclockid(3) in Linux' own form, exact to a
    nanosecond, where /proc counts hundredths.
    """
    return time.clock_gettime((~pid << 3) | 2)


def _peak(pid: int) -> int:
    """The largest resident memory since the peak was last forgotten, in bytes."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    return int(found[1]) * 1024 if found else 0
