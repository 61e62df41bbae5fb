"""The parent's side: renders in the sandbox, and believes nothing it says without looking."""

import hashlib
import logging
import os
import signal
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Any

from portal.errors import Unavailable
from portal.previews.failures import PreviewFailed
from portal.previews.types import MIME_TYPE, VARIANTS, Limits, Rendered, RenderedVariant
from portal.sandbox import process
from portal.sandbox.confinement import SandboxLimits
from portal.sandbox.process import ChildResult
from portal.texts import Text

log = logging.getLogger(__name__)

LIMITS = Limits()
FUNCTION = "portal.previews.decoder:render"
_UNAVAILABLE = Text(
    "Previews can't be made at the moment: the server is short of disk space or memory. They are made later."
)
_SIGNALS = {
    -signal.SIGALRM: "timeout",
    -signal.SIGXCPU: "timeout",
    -signal.SIGKILL: "out_of_memory",  # the parent's own kill is known as such; what is left is the kernel's
}


def render(source: Path, mime_type: str, out_dir: Path, limits: Limits = LIMITS) -> Rendered:
    """Makes every variant of `source` in `out_dir`, with facts and a placeholder.

    source, out_dir: a file and an empty folder, both in a folder of the caller's that nothing else lies in.
    mime_type: the detected one. Raises PreviewFailed, and Unavailable when the machine is to blame (no room on the
    disk, no process to be had); what is then left in `out_dir` means nothing.
    """
    folder = source.parent.resolve(strict=True)
    inside = str(out_dir.resolve().relative_to(folder))
    try:
        child = process.run(
            FUNCTION,
            argument(source.name, inside, mime_type, limits),
            folder,
            source=source.name,
            out_dir=inside,
            limits=sandbox_limits(limits),
        )
    except OSError as error:
        raise Unavailable(_UNAVAILABLE) from error
    answer = _result(child)
    if "unavailable" in answer:
        log.error("previews: the child could not work: %s", answer["unavailable"])
        raise Unavailable(_UNAVAILABLE)
    if "reason" in answer:
        raise _refusal(answer)
    try:
        variants = [_variant(out_dir, sizes) for sizes in answer["variants"]]
        names = [variant.name for variant in variants]
        if names != [variant.name for variant in VARIANTS]:
            raise ValueError(f"variants {names}")
        return Rendered(dict(answer["metadata"]), str(answer["placeholder"])[:7], variants)
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise PreviewFailed("broken") from error


def argument(source: str, out_dir: str, mime_type: str, limits: Limits) -> dict[str, Any]:
    """What `decoder.render` is called with."""
    return {"source": source, "out_dir": out_dir, "mime_type": mime_type, "limits": asdict(limits)}


def sandbox_limits(limits: Limits) -> SandboxLimits:
    """The part of the limits that any child process has."""
    return SandboxLimits(limits.memory_bytes, limits.cpu_seconds, limits.wall_seconds)


def _result(child: ChildResult) -> dict[str, Any]:
    if child.timed_out:
        raise PreviewFailed("timeout")
    if child.status:
        raise PreviewFailed("out_of_memory" if "MemoryError" in child.stderr else _SIGNALS.get(child.status, "broken"))
    result = child.answer.get("result") if child.answer else None
    if not isinstance(result, dict):
        raise PreviewFailed("broken")
    return result


def _refusal(answer: dict[str, Any]) -> PreviewFailed:
    try:
        return PreviewFailed(answer["reason"], answer.get("values"))
    except (KeyError, TypeError, ValueError, AttributeError):  # what a captured child may answer
        return PreviewFailed("broken")


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
