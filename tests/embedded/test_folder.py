"""The data folder: who may enter, what is private, which addresses stay."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

import pytest

from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder
from portal.embedded.ports import Ports
from portal.embedded.postgres import Postgres
from portal.embedded.secret import load_or_create


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's database has a user of its own")
def test_a_folder_that_the_databases_user_can_not_enter_is_named_and_another_is_used(place: Path) -> None:
    closed = place / "closed"
    closed.mkdir(mode=0o700)
    folder = DataFolder(closed / "data")
    folder.open()
    ports = Ports(folder.path / "ports.json")
    postgres = Postgres(folder, load_or_create(folder.path / "secrets.json"), ports.port("postgres"), durable=False)
    try:
        assert not postgres.home.is_relative_to(closed)
        (note,) = folder.notes
        assert str(postgres.home.parent) in note
        assert "can't enter" in note
        assert "PORTAL_DATA_DIR=" in note
        postgres.restart()
        closed.chmod(0o755)
        assert DataFolder(folder.path).home("postgres", postgres.account) == postgres.home, "it stays where it began"
    finally:
        postgres.stop()
        folder.remove()
    assert not postgres.home.exists()


def test_secrets_are_private_and_stay(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    first = load_or_create(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert vars(load_or_create(file)) == vars(first)
    assert len({*vars(first).values()}) == len(vars(first))


def test_a_damaged_secrets_file_is_named_and_kept(tmp_path: Path) -> None:
    file = tmp_path / "secrets.json"
    file.write_text('{"valkey": "x', encoding="utf-8")
    with pytest.raises(StackError, match=str(file)):
        load_or_create(file)
    assert file.read_text(encoding="utf-8") == '{"valkey": "x'


def test_ports_stay_while_they_are_free(tmp_path: Path) -> None:
    file = tmp_path / "ports.json"
    ports = Ports(file)
    first = {name: ports.port(name) for name in ("a", "b")}
    ports.save()
    again = Ports(file)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", first["b"]))
        taken.listen()
        assert again.port("a") == first["a"]
        assert again.port("b") not in first.values()


def test_a_socket_path_is_never_too_long() -> None:
    deep = Path(tempfile.mkdtemp(prefix="stowage-deep-"))
    folder = DataFolder(deep / ("x" * 120))
    folder.open()
    try:
        path = folder.socket(folder.home("clamav", None), "clamd.sock")
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(path))
    finally:
        folder.remove()
        shutil.rmtree(deep)


def test_a_disk_with_no_room_for_a_new_stack_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage._replace(free=20 << 20))
    with pytest.raises(StackError, match=r"has 20 MB left; a new stack needs 100\. .* PORTAL_DATA_DIR="):
        DataFolder(tmp_path).open()
    (tmp_path / "secrets.json").touch()
    DataFolder(tmp_path).open()  # one that is there already starts: people can look, and delete
