"""``portal up``: what it starts, keeps alive, finds again and leaves behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.request import urlopen

import psutil
import psycopg
import redis

from portal.embedded.clamav import program
from portal.embedded.state import ROOT, read
from tests.support.embedded_stack import Up, alive


def remember(up: Up) -> None:
    """Put something into the database and into the queue."""
    owner = up.environment()["PORTAL_MIGRATION_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(owner) as connection:
        connection.execute("CREATE TABLE probe AS SELECT 42 AS answer")
    with redis.Redis.from_url(up.environment()["PORTAL_REDIS_URL"]) as queue:
        queue.set("probe", "42")
        queue.execute_command("WAITAOF", 1, 0, 5000)


def remembers(up: Up) -> bool:
    """Whether both still have it."""
    owner = up.environment()["PORTAL_MIGRATION_DATABASE_URL"].replace("+psycopg", "")
    with psycopg.connect(owner) as connection, redis.Redis.from_url(up.environment()["PORTAL_REDIS_URL"]) as queue:
        return connection.execute("SELECT answer FROM probe").fetchone() == (42,) and queue.get("probe") == b"42"


def test_the_whole_portal_serves_a_page(running: Up) -> None:
    noted = read(running.folder)
    assert noted
    engines = {"postgres", "valkey", "seaweedfs"} | ({"clamd"} if program("clamd") else set())
    assert set(noted["processes"]) == engines | {"web", "worker.1", "worker.2", "clock"}
    with urlopen(f"http://localhost:{running.port}/login") as page:
        assert page.status == 200


def test_what_dies_is_started_again(running: Up) -> None:
    remember(running)
    for name in ("web", "worker.1", "clock", "valkey", "postgres", "seaweedfs"):
        os.kill(running.pid(name), signal.SIGKILL)
        running.wait_for(f"{name} is back")
    assert remembers(running)


def test_only_the_set_up_holds_the_key_of_the_tables_owner(running: Up) -> None:
    secret = running.environment()["PORTAL_MIGRATION_DATABASE_URL"]
    for name in ("web", "worker.1", "worker.2", "clock"):
        environ = psutil.Process(running.pid(name)).environ()
        assert environ["PORTAL_DATABASE_URL"]
        assert secret not in environ.values(), name


def test_everything_listens_on_loopback_alone(running: Up) -> None:
    sockets = [socket for process in running.family() for socket in process.net_connections("inet")]
    assert {socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN} == {"127.0.0.1"}


def test_a_second_one_on_the_same_folder_says_that_one_is_running(running: Up) -> None:
    second = Up(running.folder)
    second.output = running.folder.with_name("second")
    second.launch()
    assert second.end() == 1
    assert "already running" in second.said()


def test_ctrl_c_leaves_no_process_and_a_second_start_finds_the_data(up: Up) -> None:
    up.start()
    remember(up)
    family = up.family()
    assert up.interrupt() == 0
    assert alive(family) == []
    assert read(up.folder) is None
    up.start()
    assert remembers(up)


def test_a_start_after_kill_9_of_everything_recovers(up: Up) -> None:
    up.start()
    remember(up)
    up.kill_everything()
    up.start()
    assert remembers(up)


def test_what_survives_its_supervisor_is_stopped_by_the_next_start(place: Path) -> None:
    stubborn = (
        f"exec {sys.executable} -c 'import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.pause()'"
    )
    up = Up(place / "data", lines={"clock": stubborn}, PORTAL_SCANNER_URL="off")
    up.start()
    try:
        clock = psutil.Process(up.pid("clock"))
        engines = [process for process in up.family()[1:] if process != clock]
        os.kill(up.family()[0].pid, signal.SIGKILL)
        up.end()
        assert alive(engines) == [], "the engines end with their supervisor"
        assert clock.is_running()
        up.start()
        assert alive([clock]) == []
        assert "Stopped what an earlier run had left behind: clock" in up.said()
        family = up.family()
        assert up.interrupt_twice() == 0, "a second Ctrl-C does not wait for it"
        assert alive(family) == []
    finally:
        up.clean_up()


def test_an_engine_of_the_callers_is_not_started(place: Path) -> None:
    up = Up(place / "data", PORTAL_SCANNER_URL="off", PORTAL_REDIS_URL="redis://127.0.0.1:1/0")
    up.start()
    try:
        noted = read(up.folder)
        assert noted and set(noted["processes"]) == {"postgres", "seaweedfs", "web", "clock"}
        assert up.environment()["PORTAL_REDIS_URL"] == "redis://127.0.0.1:1/0"
    finally:
        up.clean_up()


def test_a_port_in_use_is_named(up: Up) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", up.port))
        taken.listen()
        up.launch()
        assert up.end() == 1
    assert f"Port {up.port} is already in use" in up.said()
    assert "PORTAL_PORT=" in up.said()
    assert "Traceback" not in up.said()


def test_a_data_folder_that_cannot_be_written_is_named(place: Path) -> None:
    (place / "file").touch()
    up = Up(place / "data")
    up.environ["PORTAL_DATA_DIR"] = str(place / "file" / "data")
    up.launch()
    assert up.end() == 1
    assert f"The data folder {place}/file/data can't be written" in up.said()
    assert "PORTAL_DATA_DIR" in up.said()
    assert "Traceback" not in up.said()


def test_a_half_written_configuration_is_answered_with_all_that_is_missing(place: Path) -> None:
    up = Up(
        place / "data", PORTAL_DATABASE_URL="postgresql+psycopg://a@b/c", PORTAL_S3_ENDPOINT="https://s3.example.com"
    )
    up.launch()
    assert up.end() == 1
    for name in ("MIGRATION_DATABASE_URL", "S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        assert f"PORTAL_{name} is missing" in up.said()
    assert "Traceback" not in up.said()


def test_env_without_a_running_stack_says_how_to_start_one(place: Path) -> None:
    up = Up(place / "data")
    command = [sys.executable, "-m", "portal", "env"]
    done = subprocess.run(command, cwd=ROOT, env=up.environ, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "portal up" in done.stderr
