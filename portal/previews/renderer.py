"""The parent process: runs the child in the sandbox, and verifies every result of it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import signal
import stat
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field, TypeAdapter, field_validator

from portal.errors import Unavailable
from portal.previews.failures import PreviewFailed
from portal.previews.types import MIME_TYPE, VARIANTS, Limits, Rendered, RenderedVariant
from portal.sandbox import process
from portal.sandbox.confinement import SandboxLimits
from portal.sandbox.process import ChildResult
from portal.texts import Text

log = logging.getLogger(__name__)

LIMITS = Limits()
Pixels = Annotated[int, Field(ge=1, le=2**31 - 1)]  # what the column holds; the decoder's own limits are far lower
_PIXELS = TypeAdapter(Pixels)
_ESCAPED_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")  # not a backslash that is a character itself, and "u0000"
FUNCTION = "portal.previews.decoder:render"
_UNAVAILABLE = Text(
    "Previews can't be made at the moment: the server is short of disk space or memory. They are made later."
)
_SIGNALS = {
    -signal.SIGALRM: "timeout",
    -signal.SIGXCPU: "timeout",
    -signal.SIGKILL: "out_of_memory",  # the parent's own kill is known as such; what is left is the kernel's
}


class _Size(BaseModel):
    name: str
    width: Pixels
    height: Pixels


class _Answer(BaseModel):
    metadata: dict[str, Any]
    placeholder: str = Field(pattern=r"^#[0-9a-f]{6}$")
    variants: list[_Size]

    @field_validator("metadata")
    @classmethod
    def _has_pixels(cls, metadata: dict[str, Any]) -> dict[str, Any]:
        for name in ("width", "height"):  # they have columns of their own
            if metadata.get(name) is not None:
                metadata[name] = _PIXELS.validate_python(metadata[name])
        return metadata


def render(source: Path, mime_type: str, out_dir: Path, limits: Limits = LIMITS) -> Rendered:
    """Makes every variant of `source` in `out_dir`, with facts and a placeholder.

    source, out_dir: a file and an empty folder, both in a folder of the caller's with nothing else in it.
    mime_type: the detected one. Raises PreviewFailed, and Unavailable when the machine is to blame (no space on the
    disk, no process to be had); what is then left in `out_dir` means nothing.
    """
    folder = source.parent.resolve(strict=True)
    inside = str(out_dir.resolve().relative_to(folder))
    try:
        child = process.run(
            process.Call(
                FUNCTION,
                argument(source.name, inside, mime_type, limits),
                folder,
                source=source.name,
                out_dir=inside,
                limits=sandbox_limits(limits),
            )
        )
    except OSError as error:
        raise Unavailable(_UNAVAILABLE) from error
    return read_answer(child, out_dir)


def read_answer(child: ChildResult, out_dir: Path) -> Rendered:
    """Turn a child's answer and the files in ``out_dir`` into what was rendered; a captured decoder answers anything.

    Raises PreviewFailed for what it refused, or answered wrongly, and Unavailable where the machine was to blame.
    """
    answer = _result(child)
    if not _is_storable(answer):
        raise PreviewFailed("broken")
    if "unavailable" in answer:
        log.error("previews: the child could not work: %s", answer["unavailable"])
        raise Unavailable(_UNAVAILABLE)
    if "reason" in answer:
        raise _refusal(answer)
    try:
        read = _Answer.model_validate(answer)
        variants = [_variant(out_dir, size) for size in read.variants]
        names = [variant.name for variant in variants]
        if names != [variant.name for variant in VARIANTS]:
            raise ValueError(f"variants {names}")
        return Rendered(read.metadata, read.placeholder, variants)
    except (ValueError, OSError) as error:
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


def _is_storable(answer: dict[str, Any]) -> bool:
    """Whether Postgres takes it as JSON: no NaN, no lone surrogate, no NUL."""
    try:
        written = json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    except ValueError:
        return False
    return _ESCAPED_NUL.search(written) is None


def _refusal(answer: dict[str, Any]) -> PreviewFailed:
    try:
        return PreviewFailed(answer["reason"], answer.get("values"))
    except (KeyError, TypeError, ValueError, AttributeError):  # what a captured child may answer
        return PreviewFailed("broken")


def _variant(out_dir: Path, size: _Size) -> RenderedVariant:
    """Reads the file itself. Raises ValueError for anything but a plain file of a known name."""
    if size.name not in {variant.name for variant in VARIANTS}:
        raise ValueError(f"variant {size.name!r}")
    path = out_dir / f"{size.name}.webp"
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError(f"{path} is no plain file")
        content = file.read()
    digest = hashlib.sha256(content).hexdigest()
    return RenderedVariant(size.name, path, size.width, size.height, len(content), MIME_TYPE, digest)
