"""Numbers, sizes and dates in the reader's language."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from flask import Flask, render_template_string

from portal import sizes
from portal.app import create_app
from tests.support.engines import TestEngines
from tests.support.processes import close
from tests.support.pseudo_language import TAG, write_catalogue

AT = datetime(2026, 3, 9, 14, 5, 6, tzinfo=UTC)
PAGE = """{% from "components/size.html" import size %}{% from "components/time.html" import time -%}
{{ size(1610612736) }} {{ time(at) }} {{ 1234567|number }}"""


@pytest.fixture(scope="module")
def translated(engines: TestEngines, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    """A portal that knows a second language."""
    app = create_app(engines.settings(), catalogues=write_catalogue(tmp_path_factory.mktemp("catalogues")))
    yield app
    close(app)


def shown(app: Flask, language: str) -> str:
    with app.test_request_context(headers={"Accept-Language": language}):
        return render_template_string(PAGE, at=AT)


def test_numbers_sizes_and_dates_are_written_as_english_has_them(translated: Flask) -> None:
    page = shown(translated, "en")
    assert "1.5 GB" in page
    assert 'title="1,610,612,736 bytes"' in page
    assert "09 Mar 2026, 14:05" in page
    assert page.endswith("1,234,567")


def test_numbers_sizes_and_dates_follow_the_language_of_the_reader(translated: Flask) -> None:
    """Esperanto, by the CLDR: a comma before decimals, a no-break space between groups, months of its own."""
    page = shown(translated, TAG)
    assert "1,5 GB" in page
    assert 'title="⟦1\u00a0610\u00a0612\u00a0736 bytes⟧"' in page
    assert "2026" in page
    assert "09 Mar 2026" not in page
    assert page.endswith("1\u00a0234\u00a0567")
    assert 'datetime="2026-03-09T14:05:06Z" title="2026-03-09 14:05:06 UTC"' in page


def test_many_sizes_of_a_page_are_written_like_one(translated: Flask) -> None:
    for language in ("en", TAG):
        with translated.test_request_context(headers={"Accept-Language": language}):
            of_page = sizes.SizeFormat()
            for count in (1, 1024, 5 << 20, 3 << 30, 7 << 40, (1 << 20) + 5, 5000 << 30):
                assert of_page.short(count) == sizes.format_size(count)
                assert of_page.exact(count) == sizes.exact_size(count)
