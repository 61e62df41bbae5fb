"""Templates are read like code: in a line that needs scrolling hides a rule that a presenter should hold."""

from __future__ import annotations

from pathlib import Path

import pytest

TEMPLATES = Path(__file__).parent.parent.parent / "templates"
LONGEST_LINE = 160


@pytest.mark.parametrize("path", sorted(p for p in TEMPLATES.rglob("*") if p.is_file()), ids=lambda path: path.name)
def test_no_line_is_over_160_characters(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    assert [number for number, line in enumerate(lines, start=1) if len(line) > LONGEST_LINE] == []
