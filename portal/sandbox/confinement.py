"""The rights that the child drops, in order, before it reads an untrusted byte."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from portal.sandbox import landlock, namespaces, seccomp

MB = 1024 * 1024
_MAX_THREADS = 64  # of all children that run at once as the same user
_PR_SET_NO_NEW_PRIVS = 38  # from linux/prctl.h: no set-uid program can raise what this process may do


@dataclass(frozen=True)
class SandboxLimits:
    """memory_bytes: address space. cpu_seconds, wall_seconds: then it is killed. file_bytes: of each file written."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: int
    file_bytes: int = 16 * MB
    open_files: int = 32


@dataclass(frozen=True)
class Layers:
    """What protects beyond resource limits. namespaces: names of the new ones. landlock: version of its rules, or 0."""

    own_user: bool
    namespaces: tuple[str, ...]
    landlock: int
    seccomp: bool

    def as_json(self) -> dict[str, Any]:
        """Fields by name."""
        return asdict(self)


def confine(folder: Path, source: Path, out_dir: Path, limits: SandboxLimits) -> Layers:
    """From here on this process reads ``source``, writes in ``out_dir``, loads Python's files, and nothing else.

    Works in ``folder``, which both lie in. Forks where there are namespaces for processes, and returns in the child.
    """
    _limit(limits)
    if sys.platform != "linux":
        return Layers(False, (), 0, False)
    # Opened from within: the folders above it may be closed to the user that this process becomes.
    os.chdir(folder)
    root = os.geteuid() == 0
    entered = namespaces.enter(user=False) if root else ()
    own_user = root and namespaces.become_nobody([folder, source, out_dir], landlock.programs())
    if not entered:
        entered = namespaces.enter(user=True)
    elif not own_user:
        entered += namespaces.enter_user()  # root's number without root's privileges
    namespaces.drop_capabilities()
    ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if "pid" in entered:
        namespaces.enter_process_namespace(limits.cpu_seconds)
    version = landlock.confine(source.relative_to(folder), out_dir.relative_to(folder))
    filtered = seccomp.install()
    if own_user or "user" in entered:  # else it would count every process of the user that started us
        resource.setrlimit(resource.RLIMIT_NPROC, (_MAX_THREADS, _MAX_THREADS))
    elif not filtered:
        # Nothing else keeps a fork from living on in a session of its own. The decoder of HEIC, which wants a thread,
        # fails then.
        resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    return Layers(own_user, entered, version, filtered)


def _limit(limits: SandboxLimits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(limits.wall_seconds)  # ends the child even when its parent was killed
