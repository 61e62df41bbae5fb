"""Sizes as people write them."""

from __future__ import annotations

import pytest

from portal import sizes
from portal.errors import Invalid

GB = 1 << 30


@pytest.mark.parametrize(
    ("written", "size"),
    [
        ("10 GB", 10 * GB),
        ("10gb", 10 * GB),
        (" 10 GiB ", 10 * GB),
        ("10\u00a0G", 10 * GB),
        ("1.5 TB", 3 * GB * 512),
        ("1,5 TB", 3 * GB * 512),
        ("500 MB", 500 << 20),
        ("1024", 1024),
        ("0", 0),
        ("", None),
        ("none", None),
        ("Unlimited", None),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_units_are_read_in_binary(written: str, size: int | None) -> None:
    assert sizes.parse(written) == size


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("-1", "negative"),
        ("-1 GB", "negative"),
        ("1e99", "Write a number and a unit"),
        ("9" * 99, "too much"),
        ("9 PB " * 2, "Write a number and a unit"),
        ("9999999 PB", "too much"),
        ("10 apples", "Write a number and a unit"),
        ("nan", "Write a number and a unit"),
        ("inf", "Write a number and a unit"),
        ("1 2", "Write a number and a unit"),
        ("0x10", "Write a number and a unit"),
        ("٣", "Write a number and a unit"),
    ],
)
def test_what_is_no_size_is_refused_in_clear_words(written: str, words: str) -> None:
    with pytest.raises(Invalid, match=words) as refused:
        sizes.parse(written)
    assert refused.value.facts == {"field": "limit"}


@pytest.mark.parametrize("size", [None, 0, 1, 1000, 1024, 10 * GB, 3 * GB // 2, 2**63 - 1, 12345678901])
def test_what_a_form_shows_is_read_back_as_the_same_number(size: int | None) -> None:
    assert sizes.parse(sizes.to_edit(size)) == size
