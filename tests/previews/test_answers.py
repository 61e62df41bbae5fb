"""What a captured decoder may answer: it is called broken, and never breaks the job or the database."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from portal.previews import renderer
from portal.previews.failures import PreviewFailed
from portal.previews.types import VARIANTS
from portal.sandbox.process import ChildResult, parse_answer

GOOD: dict[str, Any] = {
    "metadata": {"width": 100, "height": 80, "exif": {"software": "a \\u0000 b"}},
    "placeholder": "#102030",
    "variants": [{"name": variant.name, "width": 10, "height": 8} for variant in VARIANTS],
}


def read(out_dir: Path, result: Any) -> Any:
    """What the renderer makes of an answer, with a file for every variant."""
    for variant in VARIANTS:
        (out_dir / f"{variant.name}.webp").write_bytes(b"RIFF")
    answer = parse_answer(json.dumps({"result": result, "layers": {}}).encode())
    return renderer.read_answer(ChildResult(0, False, answer, ""), out_dir)


def test_an_answer_of_the_decoder_is_read(tmp_path: Path) -> None:
    assert read(tmp_path, GOOD).metadata == GOOD["metadata"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"metadata": []},
        {"metadata": {"width": "wide"}},
        {"metadata": {"width": 2**31}},
        {"metadata": {"height": 1.5}},
        {"metadata": {"exif": {"software": "a\0b"}}},
        {"metadata": {"exif": {"software": "\ud800"}}},
        {"metadata": {"exif": float("nan")}},
        {"metadata": {"exif": float("inf")}},
        {"placeholder": "red"},
        {"placeholder": None},
        {"variants": []},
        {"variants": None},
        {"variants": [None]},
        {"variants": [{"name": "../../etc/passwd", "width": 1, "height": 1}]},
        {"variants": [{**GOOD["variants"][0], "width": float("inf")}, *GOOD["variants"][1:]]},
        {"reason": ["a list"]},
        {"reason": "too_large", "values": "no values"},
        {"reason": "too_large", "values": {"megapixels": "\0"}},
        {"reason": "of its own"},
        {"unavailable": "\0"},
    ],
)
def test_a_wrong_answer_is_called_broken(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(PreviewFailed) as failure:
        read(tmp_path, GOOD | wrong)
    assert failure.value.code == "broken"


@pytest.mark.parametrize("answer", [b"[" * 65536, b'{"a":' * 10000, b"", b"\xff", b"[]", b"null", b"1" * 65536])
def test_an_answer_that_is_no_object_is_none(answer: bytes) -> None:
    assert parse_answer(answer) is None
