"""The first page of a PDF as a picture."""

import pytest

from portal.previews.failures import PreviewFailed
from tests.support import pictures
from tests.support.shown_previews import Render, near


def test_the_first_page_is_drawn_on_white(render: Render) -> None:
    previews = render(pictures.pdf(), "application/pdf")
    web = previews.image("web")
    assert web.size == (1357, 1920)
    assert near(web.getpixel((600, 120)), (204, 26, 26))  # the bar at the page's top
    assert near(web.getpixel((600, 1700)), (255, 255, 255))
    assert previews.image("thumb").size == (106, 150)


def test_only_the_first_page_is_drawn(render: Render) -> None:
    first = render(pictures.pdf(1), "application/pdf").content("web")
    assert render(pictures.pdf(2), "application/pdf").content("web") == first


def test_a_pdf_locked_with_a_password_says_so(render: Render) -> None:
    with pytest.raises(PreviewFailed) as caught:
        render(pictures.pdf_locked(), "application/pdf")
    assert caught.value.code == "unsupported"
    assert "password" in caught.value.detail


def test_pages_and_paper_are_told(render: Render) -> None:
    assert render(pictures.pdf(3), "application/pdf").rendered.metadata == {
        "format": "PDF",
        "pages": 3,
        "page_width_mm": 209.9,
        "page_height_mm": 297.0,
        "aspect_ratio": 0.7067,
        "exif": {},
    }
