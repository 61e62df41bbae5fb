"""Processes that outlive their parent: found by process id and start time, and ended."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
from collections.abc import Collection
from pathlib import Path

import psutil

ENGINES = frozenset({"postgres", "seaweedfs", "valkey", "clamd"})
STOP_SECONDS = 5.0  # for a process, and then for its descendants, to end by themselves
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def family_of(pid: int) -> list[psutil.Process]:
    """A process and all its descendants that are alive."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(family: list[psutil.Process], seconds: float = 2.0) -> None:
    """Wait a moment for processes that are already ending, then kill them."""
    _, alive = psutil.wait_procs(family[1:], timeout=seconds)
    for process in [*family[:1], *alive]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def stop_leftover(pid_file: Path, stop_signal: signal.Signals) -> bool:
    """Stop the process that a killed stack left behind, as the file identifies it; returns whether it was there."""
    try:
        noted = json.loads(pid_file.read_text(encoding="utf-8"))
        head = psutil.Process(int(noted["pid"]))
        # Process ids are reused: the number alone may be another process's by now, with the start time it is not.
        if abs(head.create_time() - float(noted["started"])) > 1.0:
            raise psutil.NoSuchProcess(head.pid)
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        pid_file.unlink(missing_ok=True)
        return False
    family = family_of(head.pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        head.send_signal(stop_signal)
    psutil.wait_procs([head], timeout=STOP_SECONDS)
    end(family)
    psutil.wait_procs(family, timeout=STOP_SECONDS)
    pid_file.unlink(missing_ok=True)
    return True


def stop_leftovers(folder: Path, stop_signals: dict[str, signal.Signals]) -> list[str]:
    """Stop what a killed stack left behind, by the pid files in ``folder``; returns the names of what was found.

    ``stop_signals``: by name, where it is not SIGTERM.
    """
    files = sorted(file for file in folder.glob("*.json") if file.name != "state.json")
    # Those that use the engines go before them.
    files.sort(key=lambda file: file.stem in ENGINES)
    return [file.stem for file in files if stop_leftover(file, stop_signals.get(file.stem, signal.SIGTERM))]


def become_subreaper() -> None:
    """From now on a grandchild whose parent dies becomes our child (prctl(2)), so that we can end it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def reap(known: Collection[int]) -> None:
    """Reap adopted processes that ended; those in ``known`` are reaped by the ``Popen`` that started them."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in known:
            os.waitpid(found.si_pid, os.WNOHANG)


def kill_descendants() -> None:
    """Kill every descendant that is still alive."""
    family = psutil.Process().children(recursive=True)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=5)
