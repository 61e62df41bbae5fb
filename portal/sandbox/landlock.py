"""The files that a confined process still reaches, by Linux's Landlock: one file, one folder, and the programs.

Without it everything that its user can read is open to it: the data folder's secrets, and in /proc the worker's
environment. Numbers and layouts are those of linux/landlock.h; system calls 444 to
446 have these numbers on every architecture. A kernel without Landlock (before 5.13, or with it switched off) leaves
the other limits alone.
"""

import ctypes
import os
import sys
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_ASK_VERSION, _PATH_BENEATH = 1, 1
_WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_FILE, _MAKE_FILE, _TRUNCATE = (1 << bit for bit in (1, 2, 3, 5, 8, 14))
_FILE_RIGHTS = _WRITE_FILE | _READ_FILE | _TRUNCATE
_FOLDER_RIGHTS = _FILE_RIGHTS | _READ_DIR | _REMOVE_FILE | _MAKE_FILE
# How many rights to files each version knows, from the first one on; a ruleset names all, and allows some.
_KNOWN = (13, 14, 15, 15, 16)
_TCP, _SCOPES = 0b11, 0b11  # bind and connect since version 4; abstract sockets and signals since version 6
# Libraries and fonts; Python's own folders are added to them.
_PROGRAMS = ("/usr", "/lib", "/lib64", "/nix/store", "/etc/ld.so.cache", "/dev/null")

_libc = ctypes.CDLL(None, use_errno=True)


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def confine(source: Path, out_dir: Path) -> int:
    """From here on this process reads ``source``, works in ``out_dir``, and loads what Python needs.

    Needs PR_SET_NO_NEW_PRIVS. Returns Landlock's version, 0 where the kernel has none; raises OSError when it refuses.
    """
    version: int = _libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION)
    if version < 1:
        return 0
    known = (1 << _KNOWN[min(version, len(_KNOWN)) - 1]) - 1
    ruleset = _Ruleset(known, _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    rules = _call(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.c_size_t(size), 0)
    try:
        for path in programs():
            _allow(rules, path, _READ_FILE | _READ_DIR)
        _allow(rules, source, _READ_FILE)
        _allow(rules, out_dir, _FOLDER_RIGHTS & known)
        _call(_RESTRICT_SELF, rules, 0)
    finally:
        os.close(rules)
    return version


def programs() -> list[Path]:
    """Python, its packages and ours. Not the folder that holds our package: a checkout holds a data folder, too."""
    ours = Path(__file__).parents[1]
    packages = [Path(entry) for entry in sys.path if entry and Path(entry) != ours.parent]
    return [*map(Path, (*_PROGRAMS, sys.prefix, sys.base_prefix)), *packages, ours]


def _allow(rules: int, path: Path, rights: int) -> None:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rule = _Rule(rights if path.is_dir() else rights & _FILE_RIGHTS, parent)
        _call(_ADD_RULE, rules, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(parent)


def _call(number: int, *arguments: object) -> int:
    answer: int = _libc.syscall(number, *arguments)
    if answer < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return answer
