"""The supervisor's decisions, with small processes."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder
from portal.embedded.process import Process, Web
from portal.embedded.supervisor import Condition, Supervisor


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """An empty data folder."""
    made = DataFolder(tmp_path / "data")
    made.open()
    return made


def watch_until(supervisor: Supervisor, name: str, condition: Condition) -> None:
    """Look again and again until the service is in this condition."""
    deadline = time.monotonic() + 20
    while supervisor.conditions()[name]["condition"] != condition.value:
        assert time.monotonic() < deadline, supervisor.conditions()
        supervisor.poll()
        time.sleep(0.01)


def test_what_never_stays_alive_is_given_up_and_the_rest_runs_on(folder: DataFolder) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append, pauses=(0.0, 0.0))
    supervisor.add(Process("steady", folder, "exec sleep 3600", {}))
    supervisor.add(Process("broken", folder, "exit 3", {}))
    try:
        watch_until(supervisor, "broken", Condition.GIVEN_UP)
        assert [line.split(";")[0] for line in said[:2]] == ["broken ended with code 3"] * 2
        assert said[2].startswith("broken ended with code 3, 3 times in a row. GIVEN UP")
        assert supervisor.conditions()["steady"]["condition"] == Condition.RUNNING
    finally:
        supervisor.stop()


def test_a_start_that_finds_no_room_takes_nothing_along(folder: DataFolder) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append, pauses=(0.0,) * 5)
    supervisor.add(Process("steady", folder, "exec sleep 3600", {}))
    supervisor.add(Process("frail", folder, "exec sleep 3600", {}))
    try:
        watch_until(supervisor, "frail", Condition.RUNNING)
        folder.log.rename(folder.path / "away")  # a log that can't be opened, as on a disk that is full
        supervisor.watched[1].service.kill()
        watch_until(supervisor, "frail", Condition.WAITING)
        watch_until(supervisor, "frail", Condition.STARTING)
        assert said[1].startswith("Starting frail: No such file or directory")
        (folder.path / "away").rename(folder.log)
        watch_until(supervisor, "frail", Condition.RUNNING)
        assert supervisor.conditions()["steady"]["deaths"] == 0
    finally:
        supervisor.stop()


def test_what_may_fail_is_tried_again_later_without_end(folder: DataFolder) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    extra = Process("extra", folder, "exit 1", {})
    extra.pause_after_death = 3600
    supervisor.add(extra)
    watch_until(supervisor, "extra", Condition.WAITING)
    assert len(said) == 1 and "tried again in 60 minutes" in said[0]
    supervisor.watched[0].starts_at = 0
    watch_until(supervisor, "extra", Condition.STARTING)
    watch_until(supervisor, "extra", Condition.WAITING)
    assert len(said) == 2
    supervisor.stop()


def test_what_can_not_start_yet_is_started_as_soon_as_it_can(folder: DataFolder) -> None:
    said: list[str] = []
    supervisor = Supervisor(said.append)
    needed = folder.path / "needed"
    supervisor.add_when(Process("later", folder, "exec sleep 3600", {}), needed.exists)
    supervisor._poll_slowly()
    assert supervisor.conditions() == {}
    needed.touch()
    supervisor._poll_slowly()
    watch_until(supervisor, "later", Condition.RUNNING)
    assert said == ["later is started: what it needs is there now."]
    supervisor.stop()


def test_a_start_that_can_not_succeed_ends_soon(folder: DataFolder) -> None:
    supervisor = Supervisor(lambda _: None, pauses=(0.0,) * 10)
    process = Web("web", folder, "exit 1", {}, port=1)
    supervisor.add(process)
    with pytest.raises(StackError, match="web does not start"):
        supervisor.wait_for([process])
    supervisor.stop()


def test_a_long_log_is_set_aside_under_a_running_process(folder: DataFolder) -> None:
    process = Process("chatty", folder, "exec python -c 'print(\"x\" * 11_000_000, flush=True); input()'", {})
    process.stdin = subprocess.PIPE
    process.start()
    assert process.process
    assert process.process.stdin
    deadline = time.monotonic() + 20
    while process.log_file.stat().st_size <= 11_000_000:  # the end of the line is written on its own
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.trim_log()
    assert process.log_file.stat().st_size == 0
    process.process.stdin.close()  # it fails now, and says so
    process.process.wait(20)
    assert process.log_file.read_bytes().startswith(b"Traceback")
    assert process.log_file.with_suffix(".log.1").stat().st_size > 11_000_000
    process.stop()
