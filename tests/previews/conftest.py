"""A file's bytes in, its previews out: through the real child process."""

from pathlib import Path

import pytest

from portal.previews import renderer
from portal.previews.types import Limits
from tests.support.shown_previews import Previews, Render


@pytest.fixture
def render(tmp_path: Path) -> Render:
    def make(content: bytes, mime_type: str = "image/jpeg", limits: Limits | None = None) -> Previews:
        source, out_dir = tmp_path / "source", tmp_path / "out"
        source.write_bytes(content)
        out_dir.mkdir(exist_ok=True)
        return Previews(renderer.render(source, mime_type, out_dir, limits or Limits()))

    return make
