"""The parent's side: starts the child, waits, ends whatever it left running, and believes nothing it says."""

from __future__ import annotations

import compileall
import functools
import importlib.util
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from portal.sandbox.confinement import SandboxLimits

log = logging.getLogger(__name__)

# The child as it is started: in the folder that holds the package `portal`, without PYTHON* variables and user sites.
COMMAND = (sys.executable, "-E", "-s", "-m", "portal.sandbox.child")
ROOT = Path(__file__).parents[2]
# No secret of ours is in it. One arena of malloc: each further one
# reserves address space, which RLIMIT_AS would count.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "MALLOC_ARENA_MAX": "1"}
MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class ChildResult:
    """How a child ended. status: its exit status, or minus the signal that ended it. timed_out: the parent ended it.

    answer: ``{result, layers}``, or None where it gave none that can be read. stderr: the end of what it wrote there.
    """

    status: int
    timed_out: bool
    answer: dict[str, Any] | None
    stderr: str


@dataclass(frozen=True)
class Call:
    """A function of ours ("package.module:name") that is called with ``argument``, which JSON can hold, in ``folder``.

    source and out_dir: relative to the folder; the file that may be read, and the folder that may be written.
    """

    function: str
    argument: Mapping[str, Any]
    folder: Path
    source: str
    out_dir: str
    limits: SandboxLimits

    def as_json(self) -> bytes:
        """What the child reads."""
        fields = {
            "function": self.function,
            "argument": dict(self.argument),
            "folder": str(self.folder.resolve(strict=True)),
            "source": self.source,
            "out_dir": self.out_dir,
            "limits": asdict(self.limits),
        }
        return json.dumps(fields).encode()


def run(call: Call) -> ChildResult:
    """Make the call in a confined process.

    Where we are root the child owns the folder, the source and the out folder from then on: they are given to its own
    user (``namespaces.become_nobody``). Raises OSError when no process, no temporary file is to be had.
    """
    payload = call.as_json()
    module, _, _name = call.function.partition(":")
    _compile(module)
    # Answers go to files, not pipes: the child's own limit of file size then bounds what it can make us read.
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as stderr:
        child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=stderr,
            cwd=ROOT,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        timed_out = _communicate(child, payload, call.limits.wall_seconds)
        words = _end_of(stderr).decode("utf-8", "replace")
        if words:
            log.info("sandbox: the child ended with %s and wrote: %s", child.returncode, words[-2000:])
        answer.seek(0)
        return ChildResult(child.returncode, timed_out, parse_answer(answer.read(MAX_ANSWER_BYTES)), words)


@functools.cache
def _compile(module: str) -> None:
    """Compile the modules beside the function's once: the child may not write them, and would do so at every start."""
    spec = importlib.util.find_spec(module)
    if spec is not None and spec.origin is not None:
        compileall.compile_dir(Path(spec.origin).parent, maxlevels=0, quiet=2)


def _communicate(child: subprocess.Popen[bytes], payload: bytes, seconds: float) -> bool:
    """Send the request, wait for the end, and kill what is left of the process group. True: the deadline ended it."""
    started = time.monotonic()
    # A timer, because waiting with a timeout polls and adds up to 50 ms to every file.
    timer = threading.Timer(seconds, _kill_group, [child.pid])
    timer.start()
    try:
        assert child.stdin is not None
        with suppress(BrokenPipeError), child.stdin:
            child.stdin.write(payload)
        # Not reaped yet, so that its number, which is its group's too, can't belong to others when we kill the group.
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    finally:
        timer.cancel()
        timer.join()
        _kill_group(child.pid)
        child.wait()
    return child.returncode == -signal.SIGKILL and time.monotonic() - started >= seconds


def _kill_group(number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)


def _end_of(file: IO[bytes]) -> bytes:
    """The last lines of a child's output say why it ended: a decoder may have written many warnings before."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - MAX_ANSWER_BYTES))
    return file.read(MAX_ANSWER_BYTES)


def parse_answer(answer: bytes) -> dict[str, Any] | None:
    """Read what a child wrote, which may be anything; None where it is no JSON object."""
    try:
        parsed = json.loads(answer)
    except (ValueError, RecursionError):  # "[[[[…" is nested too deep for the parser
        return None
    return parsed if isinstance(parsed, dict) else None
