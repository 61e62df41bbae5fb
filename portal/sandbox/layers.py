"""Which layers of the sandbox this machine offers, for the doctor: tried in a child, not read from version numbers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from portal.sandbox import process
from portal.sandbox.confinement import MB, SandboxLimits

_LIMITS = SandboxLimits(memory_bytes=256 * MB, cpu_seconds=5, wall_seconds=20)
_MIN_LANDLOCK = 6  # since then signals and abstract sockets are covered, too


def missing() -> list[str]:
    """What the kernel, the container or the installation withholds, one sentence each; empty when nothing is.

    Raises OSError when no child can be started.
    """
    with tempfile.TemporaryDirectory(prefix="stowage-sandbox-") as name:
        folder = Path(name)
        (folder / "source").touch()
        (folder / "out").mkdir()
        done = process.run(
            process.Call("portal.sandbox.child:nothing", {}, folder, source="source", out_dir="out", limits=_LIMITS)
        )
    if done.status or done.answer is None:
        return ["a confined process can't be started at all, so no previews are made"]
    found = done.answer["layers"]
    sentences = {
        "no filter of system calls (seccomp)": not found["seccomp"],
        "no rules for files (Landlock): the kernel is older than 5.13, or started without them": not found["landlock"],
        "only old rules for files (Landlock): signals and sockets are covered since Linux 6.12": (
            0 < found["landlock"] < _MIN_LANDLOCK
        ),
        "no namespaces: the kernel or the container forbids unshare": not found["namespaces"],
        "no user of its own: Python is in a folder that only root can enter": (
            os.geteuid() == 0 and not found["own_user"]
        ),
    }
    return [words for words, applies in sentences.items() if applies]
