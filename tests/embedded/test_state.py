"""How other commands find the stack."""

from __future__ import annotations

import json
import os
from pathlib import Path

import psutil
import pytest

from portal import embedded
from portal.embedded import state
from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder
from portal.settings import SettingsError

RUNNING = {
    "PORTAL_DATABASE_URL": "postgresql+psycopg://embedded",
    "PORTAL_REDIS_URL": "redis://embedded",
    "PORTAL_S3_ENDPOINT": "http://127.0.0.1:1",
    "PORTAL_S3_BUCKET": "embedded",
    "PORTAL_S3_ACCESS_KEY_ID": "id",
    "PORTAL_S3_SECRET_ACCESS_KEY": "secret",
    "PORTAL_SCANNER_URL": "off",
    "PORTAL_BASE_URL": "http://localhost:1",
    "PORTAL_SECRET_KEYS": "k" * 32,
    "PORTAL_VAULT_KEYS": "k" * 32,
}


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """The data folder of a stack whose supervisor is this process."""
    made = DataFolder(tmp_path)
    made.open()
    state.write(made, RUNNING, {})
    return made


def test_a_running_stack_is_found_by_its_folder(folder: DataFolder) -> None:
    settings = embedded.discover({"PORTAL_DATA_DIR": str(folder.path)})
    assert settings.database_url == "postgresql+psycopg://embedded"
    assert folder.state.stat().st_mode & 0o777 == 0o600


def test_what_the_caller_has_set_wins(folder: DataFolder, tmp_path: Path) -> None:
    (tmp_path / "redis").write_text("redis://mine", encoding="utf-8")
    environ = {
        "PORTAL_DATA_DIR": str(folder.path),
        "PORTAL_REDIS_URL_FILE": str(tmp_path / "redis"),
        "PORTAL_S3_BUCKET": "mine",
    }
    settings = embedded.discover(environ)
    assert (settings.redis_url, settings.s3_bucket) == ("redis://mine", "mine")


def test_a_database_of_the_callers_asks_for_all_the_rest(folder: DataFolder) -> None:
    with pytest.raises(SettingsError) as refusal:
        embedded.discover({"PORTAL_DATA_DIR": str(folder.path), "PORTAL_DATABASE_URL": "postgresql+psycopg://mine"})
    assert len(refusal.value.problems) == len(RUNNING) - 1


def test_a_stack_that_was_killed_is_not_found(folder: DataFolder) -> None:
    noted = json.loads(folder.state.read_text(encoding="utf-8"))
    # The number lives again, as another process.
    noted["started"] = psutil.Process(os.getpid()).create_time() - 60
    folder.state.write_text(json.dumps(noted), encoding="utf-8")
    with pytest.raises(StackError, match="portal up"):
        embedded.discover({"PORTAL_DATA_DIR": str(folder.path)})
