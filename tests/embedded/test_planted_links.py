"""A compromised engine's user owns the engine's folder. What it puts there never leads the stack's user elsewhere."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from portal.embedded import accounts
from portal.embedded.accounts import Account
from portal.embedded.clamav import NOTE, Clamd, Freshclam
from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder, write_private_text
from portal.embedded.postgres import Postgres
from portal.embedded.secret import load_or_create

PRECIOUS = "root:x:0:0:root:/root:/bin/bash\n"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[DataFolder]:
    made = DataFolder(tmp_path / "data")
    made.open()
    yield made
    made.remove()


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file that no engine's user may change, as /etc/passwd."""
    file = tmp_path / "precious"
    file.write_text(PRECIOUS)
    file.chmod(0o600)
    return file


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder that no engine's user may own, as /etc."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text(PRECIOUS)
    return outside


def untouched(*paths: Path) -> bool:
    """Whether these are what they were: ours, with the content that they had."""
    owners = {path.lstat().st_uid for path in paths} | {child.lstat().st_uid for path in paths for child in _in(path)}
    texts = {path.read_text() for path in paths if path.is_file()}
    return owners == {os.geteuid()} and texts <= {PRECIOUS}


def _in(path: Path) -> list[Path]:
    return list(path.iterdir()) if path.is_dir() else []


def plant(at: Path, to: Path) -> None:
    """What the engine's user does in its own folder."""
    if at.is_dir() and not at.is_symlink():
        shutil.rmtree(at)
    at.unlink(missing_ok=True)
    at.symlink_to(to)


def test_clamds_user_can_not_have_files_written_or_given_away(folder: DataFolder, precious: Path, kept: Path) -> None:
    signatures = folder.path / "signatures"
    signatures.mkdir()
    (signatures / "test.ndb").write_text("Test:0:*:41\n")
    clamd = Clamd(folder, signatures)
    for name in ("clamd.conf", "freshclam.conf", f".clamd.conf.{os.getpid()}"):
        plant(clamd.home / name, precious)
    for name in ("tmp", "test-database"):
        plant(clamd.home / name, kept)
    plant(clamd.socket, precious)
    clamd.prepare()
    Freshclam(folder, clamd).prepare()
    assert untouched(precious, kept)
    assert (clamd.home / "tmp").is_dir() and not (clamd.home / "tmp").is_symlink()
    assert not clamd.configuration.is_relative_to(clamd.home)


def test_the_note_about_missing_signatures_is_not_written_through_a_link(folder: DataFolder, tmp_path: Path) -> None:
    clamd = Clamd(folder, tmp_path / "no-signatures")
    target = tmp_path / "new-file"
    plant(Path(os.fspath(clamd.socket) + NOTE), target)
    assert clamd.can_start() is False
    assert not target.exists()
    assert Path(os.fspath(clamd.socket) + NOTE).is_file()


def test_postgres_user_can_not_have_files_written_or_given_away(folder: DataFolder, precious: Path, kept: Path) -> None:
    postgres = Postgres(folder, load_or_create(folder.path / "secrets.json"), 15_999, durable=False)
    plant(postgres.home / "password", precious)
    plant(postgres.home / "new", kept)
    with pytest.raises(StackError):  # initdb does not write through a link, either
        postgres.prepare()
    assert untouched(precious, kept)
    (postgres.home / "new").unlink()
    postgres.prepare()
    plant(postgres.cluster / "postmaster.pid", precious)
    postgres.prepare()
    assert untouched(precious, kept)
    assert not (postgres.cluster / "postmaster.pid").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to step down to")
def test_the_configuration_belongs_to_root_and_the_engines_user_can_read_it(folder: DataFolder) -> None:
    account = accounts.database_account()
    assert account is not None
    place = folder.configuration("postgres", account)
    write_private_text(place / "secret", "x", reader=account)
    for path in (place.parent, place, place / "secret"):
        assert path.stat().st_uid == 0 and not path.stat().st_mode & 0o022
    assert (place / "secret").stat().st_gid == account.gid
    assert account.barrier(place) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_folder_is_given_away_without_following_links(folder: DataFolder, precious: Path, kept: Path) -> None:
    home = folder.path / "engine"
    (home / "deep").mkdir(parents=True)
    (home / "deep" / "own").write_text("x")
    plant(home / "link", precious)
    plant(home / "deep" / "folder", kept)
    os.link(precious, home / "second-name")
    Account("nobody", 65_534, 65_534).own(home)
    assert untouched(precious, kept)
    assert (home / "deep" / "own").stat().st_uid == 65_534


def test_a_short_folder_for_a_socket_that_is_a_link_is_refused(
    folder: DataFolder, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    home = folder.home("clamav", None)
    name = "x" * 120
    path = folder.socket(home, name)
    path.parent.rmdir()
    plant(path.parent, kept)
    with pytest.raises(StackError, match="belongs to someone else"):
        folder.socket(home, name)
    assert untouched(kept)
