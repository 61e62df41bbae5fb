"""A server without room for temporary files: previews wait for it, and burn no attempt."""

from __future__ import annotations

import resource
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from portal.assets import preview_jobs
from portal.tasks import MOST_ATTEMPTS
from portal.uploads import verify
from tests.support import pictures
from tests.support.client import Scene

Trouble = Callable[[Path], AbstractContextManager[None]]


@contextmanager
def no_folder(tmp_path: Path) -> Iterator[None]:
    """TMPDIR is no folder at all."""
    (tmp_path / "file").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
        yield


@contextmanager
def no_room(tmp_path: Path) -> Iterator[None]:
    """The disk is full after some bytes: Python ignores the signal of the limit, and the write fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(tmp_path))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("trouble", [no_folder, no_room])
def test_previews_wait_for_disk_space(scene: Scene, tmp_path: Path, trouble: Trouble) -> None:
    sent = scene.alice.upload("sea.jpg", pictures.exif_orientation(1))
    place = scene.cast.acme.id, scene.cast.press.id, UUID(sent.asset_id)
    with scene.site.app.app_context():
        verify.take_in(*place)
        for _ in range(MOST_ATTEMPTS + 2):
            scene.site.make_due()
            with trouble(tmp_path):
                preview_jobs.render_previews(*place)
    assert scene.alice.asset(sent.asset_id)["previews"] == "pending"
    assert scene.site.task(sent.asset_id, "render_previews") == (0, "spool_unavailable")
    scene.site.make_due()
    assert list(tmp_path.glob("stowage-preview-*")) == []
    with scene.site.app.app_context():
        preview_jobs.render_previews(*place)
    assert scene.alice.asset(sent.asset_id)["previews"] == "ready"
