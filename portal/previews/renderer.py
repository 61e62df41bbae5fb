"""The parent's side: starts the child, waits, and believes nothing it says without looking."""

import hashlib
import json
import logging
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from portal.errors import Unavailable
from portal.previews.types import MIME_TYPE, VARIANTS, WORDS, Limits, PreviewFailed, Rendered, RenderedVariant

log = logging.getLogger(__name__)

LIMITS = Limits()
_AWAY = "Previews can't be made at the moment: the server is short of disk space or memory. They follow by themselves."
_ANSWER_BYTES = 64 * 1024
# The child as it is started: in the folder that holds the package `portal`, deaf to PYTHON* variables and user sites.
COMMAND = (sys.executable, "-E", "-s", "-m", "portal.previews.child")
ROOT = Path(__file__).parents[2]
# No secret of ours is in it. One arena: each further one reserves address space that the limit would count.
ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": os.defpath, "MALLOC_ARENA_MAX": "1"}
_ENDINGS = {
    -signal.SIGALRM: "timeout",
    -signal.SIGXCPU: "timeout",
    -signal.SIGKILL: "out_of_memory",  # the parent's own kill is told apart; what is left is the kernel's
}


def render(source: Path, mime_type: str, out_dir: Path, limits: Limits = LIMITS) -> Rendered:
    """Makes every variant of `source` in `out_dir` (an empty folder of the caller's), with facts and a placeholder.

    mime_type: the detected one. Raises PreviewFailed, and Unavailable when the machine is to blame (no room on the
    disk, no process to be had); what is then left in `out_dir` means nothing.
    """
    request = {
        "source": str(source.resolve(strict=True)),
        "mime_type": mime_type,
        "out_dir": str(out_dir.resolve()),
        "limits": asdict(limits),
    }
    try:
        answer = _ask_child(request, limits.wall_seconds)
    except OSError as error:
        raise Unavailable(_AWAY) from error
    if "unavailable" in answer:
        log.error("previews: the child could not work: %s", answer["unavailable"])
        raise Unavailable(_AWAY)
    if "code" in answer:
        raise PreviewFailed(answer["code"] if answer["code"] in WORDS else "broken", str(answer.get("detail", "")))
    try:
        variants = [_variant(out_dir, sizes) for sizes in answer["variants"]]
        names = [variant.name for variant in variants]
        if names != [variant.name for variant in VARIANTS]:
            raise ValueError(f"variants {names}")
        return Rendered(dict(answer["metadata"]), str(answer["placeholder"])[:7], variants)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise PreviewFailed("broken") from error


def _ask_child(request: dict[str, Any], seconds: float) -> dict[str, Any]:
    started = time.monotonic()
    # Answers go to files, not pipes: the child's own limit of file size then bounds what it can make us read.
    with tempfile.TemporaryFile() as answer, tempfile.TemporaryFile() as complaint:
        child = subprocess.Popen(
            COMMAND,
            stdin=subprocess.PIPE,
            stdout=answer,
            stderr=complaint,
            cwd=ROOT,
            env=ENVIRONMENT,
            start_new_session=True,
        )
        # A timer, because waiting with a timeout polls and adds up to 50 ms to every file.
        timer = threading.Timer(seconds, child.kill)
        timer.start()
        try:
            child.communicate(json.dumps(request).encode())
        finally:
            timer.cancel()
            child.kill()
            child.wait()
        if child.returncode == -signal.SIGKILL and time.monotonic() - started >= seconds:
            raise PreviewFailed("timeout")
        return _answer(child.returncode, answer, complaint)


def _answer(ending: int, answer: IO[bytes], complaint: IO[bytes]) -> dict[str, Any]:
    complaint.seek(0)
    words = complaint.read(_ANSWER_BYTES).decode("utf-8", "replace")
    if words:
        log.info("previews: the child ended with %s and said: %s", ending, words[-2000:])
    if ending:
        raise PreviewFailed("out_of_memory" if "MemoryError" in words else _ENDINGS.get(ending, "broken"))
    answer.seek(0)
    try:
        parsed = json.loads(answer.read(_ANSWER_BYTES))
    except ValueError as error:
        raise PreviewFailed("broken") from error
    if not isinstance(parsed, dict):
        raise PreviewFailed("broken")
    return parsed


def _variant(out_dir: Path, sizes: dict[str, Any]) -> RenderedVariant:
    """Looks at the file itself. Raises ValueError for anything but a plain file of a known name."""
    name, width, height = str(sizes["name"]), int(sizes["width"]), int(sizes["height"])
    if name not in {variant.name for variant in VARIANTS}:
        raise ValueError(f"variant {name!r}")
    path = out_dir / f"{name}.webp"
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is no plain file")
        content = file.read()
    return RenderedVariant(name, path, width, height, len(content), MIME_TYPE, hashlib.sha256(content).hexdigest())
