"""PDF: the first page, rendered once at the largest size that is needed."""

from pathlib import Path
from typing import Any

import pypdfium2
from PIL import Image
from pypdfium2 import raw

from portal.previews.types import VARIANTS, DecodingFailed

_MM_PER_POINT = 25.4 / 72


def read(source: Path) -> tuple[Image.Image, tuple[int, int], dict[str, Any]]:
    """The first page on white, its size in pixels, and facts: pages, the first page's size in millimetres.

    Raises DecodingFailed.
    """
    try:
        # An open file: of a path the library makes an absolute one, and the folders above may be closed to this user.
        document = pypdfium2.PdfDocument(source.open("rb"), autoclose=True)
    except pypdfium2.PdfiumError as error:
        if error.err_code == raw.FPDF_ERR_PASSWORD:
            raise DecodingFailed("password") from error
        raise DecodingFailed("broken") from error
    if not len(document):
        raise DecodingFailed("no_pages")
    try:
        # Before the page is loaded: PDFium renders form fields only then, also those without an appearance stream.
        document.init_forms()
        page = document[0]
        width, height = page.get_size()
        longest = max(width, height)
        if not 0 < min(width, height) <= longest < float("inf"):
            raise DecodingFailed("no_size")
        scale = VARIANTS[0].longest / longest
        picture = page.render(scale=scale, rev_byteorder=True).to_pil().convert("RGB")
    except pypdfium2.PdfiumError as error:
        raise DecodingFailed("broken") from error
    facts = {
        "format": "PDF",
        "pages": len(document),
        "page_width_mm": round(width * _MM_PER_POINT, 1),
        "page_height_mm": round(height * _MM_PER_POINT, 1),
        "aspect_ratio": round(width / height, 4),
        "exif": {},
    }
    return picture, picture.size, facts
