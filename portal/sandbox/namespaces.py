"""A user of its own, and namespaces: the processes, network and users that a confined process can't even name."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

# Of systemd's range for users that exist only while a process runs: no account of Debian's has this number.
SANDBOX_ID = 61_347
_NEW_IPC, _NEW_UTS, _NEW_USER, _NEW_PID, _NEW_NET = 0x08000000, 0x04000000, 0x10000000, 0x20000000, 0x40000000
_OTHERS = {"ipc": _NEW_IPC, "uts": _NEW_UTS, "pid": _NEW_PID, "net": _NEW_NET}
_PR_SET_PDEATHSIG = 1
_CAPABILITY_VERSION_3 = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def enter(*, user: bool) -> tuple[str, ...]:
    """Enter new namespaces; returns their names, none where the kernel or the container forbids it.

    user: with a user namespace, which everybody but root needs for the others. No id is mapped in it: to the rest of
    the system this process stays its user, but without any of that user's privileges.
    """
    kinds = {"user": _NEW_USER, **_OTHERS} if user else _OTHERS
    return tuple(kinds) if _libc.unshare(sum(kinds.values())) == 0 else ()


def enter_user() -> tuple[str, ...]:
    """As ``enter``, for a user namespace alone."""
    return ("user",) if _libc.unshare(_NEW_USER) == 0 else ()


def become_nobody(own: Iterable[Path], needed: Iterable[Path]) -> bool:
    """As root: become a user that owns nothing but ``own``; did it?

    Not where that user could not enter a folder that is ``needed`` to go on, as with a Python in root's own folder.
    """
    folders = [path for path in needed if path.is_dir()]
    os.setgroups([])
    os.setegid(SANDBOX_ID)
    os.seteuid(SANDBOX_ID)
    reaches = all(os.access(path, os.R_OK | os.X_OK, effective_ids=True) for path in folders)
    os.seteuid(0)
    os.setegid(0)
    if not reaches:
        return False
    for path in own:
        os.chown(path, SANDBOX_ID, SANDBOX_ID, follow_symlinks=False)
    os.setresgid(SANDBOX_ID, SANDBOX_ID, SANDBOX_ID)
    os.setresuid(SANDBOX_ID, SANDBOX_ID, SANDBOX_ID)
    return True


def drop_capabilities() -> None:
    """Give up every capability, those that a new user namespace gives included (linux/capability.h)."""
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    _libc.capset(header, (ctypes.c_uint32 * 6)())


def enter_process_namespace(cpu_seconds: int) -> None:
    """Go on in a child of this process, the first one of the new namespace; this one waits and ends as that one does.

    When the first process of such a namespace ends, the kernel kills all others in it. It ends with its parent.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child:
        os.close(reading)
        _end_as(child, cpu_seconds)
    os.close(writing)
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # The parent may have died before the line above: then the other end of the pipe is closed already.
    if select.select([reading], [], [], 0)[0]:
        os._exit(1)
    os.close(reading)


def _end_as(child: int, cpu_seconds: int) -> NoReturn:
    _, status, usage = os.wait4(child, 0)
    if not os.WIFSIGNALED(status):
        os._exit(os.WEXITSTATUS(status))
    number = os.WTERMSIG(status)
    # The first process of a namespace ignores SIGXCPU, so that the limit of CPU time ends it by SIGKILL.
    if number == signal.SIGKILL and usage.ru_utime + usage.ru_stime >= cpu_seconds:
        number = signal.SIGXCPU
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if number != signal.SIGKILL:
        signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    os._exit(1)
