"""What runs inside the sandbox: the source is read with the one decoder of its type, and every variant is written.

Nothing here may import more of the portal than this package: its start is paid for every file.
"""

import errno
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from portal.previews.types import DecodingFailed, Limits

if TYPE_CHECKING:
    from PIL import Image

# What a reader gives: an upright sRGB picture, the size of its source (upright, pixels), facts.
Picture = tuple["Image.Image", tuple[int, int], dict[str, Any]]

# Decoders' own errors carry no number, or that of a seek to nowhere.
_MACHINE_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ENOENT, errno.EISDIR}


def render(argument: dict[str, Any]) -> dict[str, Any]:
    """Answers {metadata, placeholder, variants[{name, width, height}]}, {reason, values}, or {unavailable: words} when
    the machine is to blame and not the file.

    argument: source and out_dir relative to the current folder, mime_type, limits.
    """
    limits = Limits(**argument["limits"])
    source, out_dir = Path(argument["source"]), Path(argument["out_dir"])
    try:
        read = _reader(argument["mime_type"], limits)
        from portal.previews import encode

        picture, size, facts = read(source)
        return {"metadata": facts, **encode.write(picture, size, out_dir, limits.web_bytes)}
    except DecodingFailed as failure:
        return _refusal(failure)
    except Exception as error:  # a decoder may raise anything on a damaged file
        traceback.print_exc()
        if isinstance(error, OSError) and error.errno in _MACHINE_ERRORS:
            return {"unavailable": os.strerror(error.errno)}
        return _refusal(_failure(error))


def _reader(mime_type: str, limits: Limits) -> Callable[[Path], Picture]:
    if mime_type == "application/pdf":
        from portal.previews import pdf

        return pdf.read
    from portal.previews import raster

    return lambda source: raster.read(source, mime_type, limits)


def _refusal(failure: DecodingFailed) -> dict[str, Any]:
    return {"reason": failure.reason, "values": failure.values}


def _failure(error: Exception) -> DecodingFailed:
    """What a decoder's own error means; libraries in C say it in their own words."""
    words = str(error).lower()
    if "DecompressionBomb" in type(error).__name__ or ("limit" in words and "exceed" in words):
        return DecodingFailed("beyond_limits")
    return DecodingFailed("out_of_memory" if _is_memory(error) else "broken")


def _is_memory(error: Exception) -> bool:
    return isinstance(error, MemoryError) or any(word in str(error).lower() for word in ("memory", "alloc"))
