"""The system calls that a confined process may still make: a seccomp filter in BPF, without a library (ADR 16).

It lists what Python, its allocator, its imports and decoders need for files and memory of their own. Everything else
gives EPERM, whatever the next kernel brings: sockets of every kind, processes, signals to others, modes and owners of
files, ptrace, keyrings, io_uring, bpf, userfaultfd, mounts, clocks. Numbers are those of the kernel's unistd tables,
layouts those of linux/filter.h, linux/seccomp.h and linux/audit.h.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from collections.abc import Sequence

_PR_SET_SECCOMP, _MODE_FILTER = 22, 2
_ALLOW, _ERRNO, _KILL_PROCESS = 0x7FFF0000, 0x00050000, 0x80000000
_EPERM, _ENOSYS = 1, 38
_LOAD, _JUMP_IF_EQUAL, _JUMP_IF_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
# Offsets in struct seccomp_data; both architectures are little-endian, so the low half of an argument comes first.
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16
_X32_BIT = 0x40000000  # x86-64's second table of calls: its numbers would slip past a list of the first

# name: number on x86-64, on aarch64 (None where only x86-64 has it)
_ALLOWED: dict[str, tuple[int | None, int | None]] = {
    "read": (0, 63),
    "write": (1, 64),
    "mmap": (9, 222),
    "munmap": (11, 215),
    "lseek": (8, 62),
    "newfstatat": (262, 79),
    "fstat": (5, 80),
    "openat": (257, 56),
    "close": (3, 57),
    "brk": (12, 214),
    "mprotect": (10, 226),
    "mremap": (25, 216),
    "madvise": (28, 233),
    "futex": (202, 98),
    "getdents64": (217, 61),
    "pread64": (17, 67),
    "pwrite64": (18, 68),
    "readv": (19, 65),
    "writev": (20, 66),
    "open": (2, None),
    "stat": (4, None),
    "lstat": (6, None),
    "access": (21, None),
    "readlink": (89, None),
    "unlink": (87, None),
    "dup2": (33, None),
    "poll": (7, None),
    "select": (23, None),
    "alarm": (37, None),
    "getrlimit": (97, None),
    "statx": (332, 291),
    "faccessat": (269, 48),
    "faccessat2": (439, 439),
    "readlinkat": (267, 78),
    "unlinkat": (263, 35),
    "ftruncate": (77, 46),
    "fadvise64": (221, 223),
    "getcwd": (79, 17),
    "dup": (32, 23),
    "dup3": (292, 24),
    "ppoll": (271, 73),
    "pselect6": (270, 72),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "setitimer": (38, 103),
    "nanosleep": (35, 101),
    "clock_nanosleep": (230, 115),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "gettimeofday": (96, 169),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getppid": (110, 173),
    "getuid": (102, 174),
    "geteuid": (107, 175),
    "getgid": (104, 176),
    "getegid": (108, 177),
    "getrusage": (98, 165),
    "getrandom": (318, 278),
    "sysinfo": (99, 179),
    "uname": (63, 160),
    "set_tid_address": (218, 96),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
# Calls of which only some values of one argument are allowed: name: numbers, which argument.
_FCNTL, _IOCTL, _PRLIMIT, _TGKILL, _CLONE3 = (72, 25), (16, 29), (302, 261), (234, 131), (435, 435)
# Duplicating and close-on-exec; not F_SETOWN, with which the kernel would send signals to other processes.
_FCNTL_COMMANDS = (0, 1, 2, 3, 4, 1030)
_IOCTL_COMMANDS = (0x5401, 0x5451)  # TCGETS (is it a terminal?) and FIOCLEX
# The flags with which glibc and musl make a thread, as the decoder of HEIC does; a process has others.
_CLONE, _THREAD_FLAGS = (56, 220), (0x3D0F00, 0x7D0F00)
_AUDIT_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_libc = ctypes.CDLL(None, use_errno=True)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_char_p))


def install() -> bool:
    """Confine this process, which must have PR_SET_NO_NEW_PRIVS set and one thread; False where it can't be done.

    Raises OSError when the kernel has seccomp and refuses the filter.
    """
    machine = platform.machine()
    if machine not in _AUDIT_ARCHITECTURES:
        return False
    instructions = b"".join(_filter(machine, os.getpid()))
    program = _Program(len(instructions) // 8, instructions)
    if _libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, ctypes.byref(program), 0, 0):
        error = ctypes.get_errno()
        if error == 22:  # EINVAL: a kernel without seccomp filters
            return False
        raise OSError(error, os.strerror(error))
    return True


def _filter(machine: str, own_pid: int) -> list[bytes]:
    column = 0 if machine == "x86_64" else 1
    program = [
        _step(_LOAD, _ARCHITECTURE),
        _step(_JUMP_IF_EQUAL, _AUDIT_ARCHITECTURES[machine], 1, 0),
        _step(_RETURN, _KILL_PROCESS),  # a 32-bit call has other numbers
        _step(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        program += [_step(_JUMP_IF_AT_LEAST, _X32_BIT, 0, 1), _step(_RETURN, _KILL_PROCESS)]
    for numbers in _ALLOWED.values():
        number = numbers[column]
        if number is not None:
            program += [_step(_JUMP_IF_EQUAL, number, 0, 1), _step(_RETURN, _ALLOW)]
    program += _if_argument(_FCNTL[column], 1, _FCNTL_COMMANDS)
    program += _if_argument(_IOCTL[column], 1, _IOCTL_COMMANDS)
    program += _if_argument(_PRLIMIT[column], 0, (0,))  # limits of its own, which it can't raise
    program += _if_argument(_CLONE[column], 0, _THREAD_FLAGS)
    program += _if_argument(_TGKILL[column], 0, (own_pid,))  # abort() of a library that found itself damaged
    # The flags of clone3 lie in memory, where a filter can't look; the C library falls back to clone without it.
    program += [_step(_JUMP_IF_EQUAL, _CLONE3[column], 0, 1), _step(_RETURN, _ERRNO | _ENOSYS)]
    return [*program, _step(_RETURN, _ERRNO | _EPERM)]


def _if_argument(number: int, argument: int, values: Sequence[int]) -> list[bytes]:
    """Allow a call where the low half of one argument (a C int) is one of the values."""
    body = [_step(_LOAD, _ARGUMENTS + 8 * argument)]
    for value in values:
        body += [_step(_JUMP_IF_EQUAL, value, 0, 1), _step(_RETURN, _ALLOW)]
    body.append(_step(_RETURN, _ERRNO | _EPERM))
    return [_step(_JUMP_IF_EQUAL, number, 0, len(body)), *body]


def _step(code: int, operand: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, if_true, if_false, operand)
