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
PATIENCE = 5.0  # seconds for a process, and then for its family, to end by themselves
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def family_of(pid: int) -> list[psutil.Process]:
    """A process and all that descends from it, as far as they live."""
    try:
        head = psutil.Process(pid)
        return [head, *head.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def end(family: list[psutil.Process], patience: float = 2.0) -> None:
    """Wait a moment for processes that are already ending, then kill them."""
    _, alive = psutil.wait_procs(family[1:], timeout=patience)
    for process in [*family[:1], *alive]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def stop_leftover(pid_file: Path, polite: signal.Signals) -> bool:
    """Stop the process that a killed stack left behind, if the file still names it; True when there was one."""
    try:
        noted = json.loads(pid_file.read_text(encoding="utf-8"))
        head = psutil.Process(int(noted["pid"]))
        # A number alone may belong to a stranger by now; number and start time may not.
        if abs(head.create_time() - float(noted["started"])) > 1.0:
            raise psutil.NoSuchProcess(head.pid)
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        pid_file.unlink(missing_ok=True)
        return False
    family = family_of(head.pid)
    with contextlib.suppress(psutil.NoSuchProcess):
        head.send_signal(polite)
    psutil.wait_procs([head], timeout=PATIENCE)
    end(family)
    psutil.wait_procs(family, timeout=PATIENCE)
    pid_file.unlink(missing_ok=True)
    return True


def stop_leftovers(folder: Path, polite: dict[str, signal.Signals]) -> list[str]:
    """Stop what a killed stack left behind, by the pid files in ``folder``; the names of what was found.

    ``polite`` names the signal of a process where it is not SIGTERM.
    """
    files = sorted(file for file in folder.glob("*.json") if file.name != "state.json")
    # Those that use the engines go before them.
    files.sort(key=lambda file: file.stem in ENGINES)
    return [file.stem for file in files if stop_leftover(file, polite.get(file.stem, signal.SIGTERM))]


def adopt_orphans() -> None:
    """From now on a grandchild whose parent dies becomes our child, so that none can slip away."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def bury(known: Collection[int]) -> None:
    """Collect adopted processes that ended; those in ``known`` are collected by whoever started them."""
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)) and found.si_pid not in known:
            os.waitpid(found.si_pid, os.WNOHANG)


def end_adopted() -> None:
    """Kill every descendant that is still there."""
    family = psutil.Process().children(recursive=True)
    for process in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(family, timeout=5)
