"""The child's side: `python -m portal.previews.child`, one JSON request on stdin, one JSON answer on stdout.

Limits are set before any decoder is imported. Nothing here may import more of the portal than this room: its start is
paid for every file.
"""

import ctypes
import errno
import json
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portal.previews.types import MB, Limits, PreviewFailed
from portal.sandbox import landlock

if TYPE_CHECKING:
    from PIL import Image

# What a reader gives: an upright sRGB picture, the size of its source (upright, pixels), facts.
Picture = tuple["Image.Image", tuple[int, int], dict[str, Any]]

# Larger than any variant; nothing else may be written.
_FILE_BYTES = 16 * MB
_OPEN_FILES = 32
# Decoders' own errors carry no number, or that of a seek to nowhere.
_MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ENOENT, errno.EISDIR}
_PR_SET_NO_NEW_PRIVS = 38  # from linux/prctl.h: no set-uid program can raise what a captured child may do


def main() -> None:
    """Answers {metadata, placeholder, variants[{name, width, height}]}, {code, detail}, or {unavailable: words} when
    the machine is to blame and not the file.
    """
    request = json.load(sys.stdin)
    limits = Limits(**request["limits"])
    source, out_dir = Path(request["source"]), Path(request["out_dir"])
    _confine(limits)
    landlock.confine(source, out_dir)
    read = _reader(request["mime_type"], limits)
    from portal.previews import encode  # as late as the decoders: under the limits

    try:
        picture, size, facts = read(source)
        written = encode.write(picture, size, out_dir, limits.web_bytes)
        answer = {"metadata": facts, **written}
    except PreviewFailed as failure:
        answer = _refusal(failure)
    except Exception as error:  # a decoder may raise anything on a damaged file
        traceback.print_exc()
        if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
            answer = {"unavailable": os.strerror(error.errno)}
        else:
            answer = _refusal(PreviewFailed("out_of_memory" if _is_memory(error) else "broken"))
    json.dump(answer, sys.stdout)


def _confine(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes, limits.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    signal.alarm(limits.wall_seconds)  # ends the child even when its parent was killed


def _reader(mime_type: str, limits: Limits) -> Callable[[Path], Picture]:
    if mime_type == "application/pdf":
        from portal.previews import pdf

        return pdf.read
    from portal.previews import raster

    return lambda source: raster.read(source, mime_type, limits)


def _refusal(failure: PreviewFailed) -> dict[str, Any]:
    return {"code": failure.code, "detail": failure.detail}


def _is_memory(error: Exception) -> bool:
    """Libraries in C say it in their own words when an allocation fails."""
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in ("memory", "alloc"))


if __name__ == "__main__":
    main()
