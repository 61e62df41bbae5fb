"""``portal up``: engines, set-up and the Procfile's processes as one foreground program."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import click

from portal.embedded import clamav, state
from portal.embedded.engines import Engines
from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder
from portal.embedded.one_off import OneOff, Setup
from portal.embedded.ports import HOST
from portal.embedded.postgres import Postgres
from portal.embedded.process import processes
from portal.embedded.processes import stop_leftovers
from portal.embedded.secret import Secrets, load_or_create
from portal.embedded.supervisor import Supervisor
from portal.settings import Settings


def run(*, demo: bool, procfile: Path | None) -> int:
    """Run the stack until a signal ends it; returns the exit code. Raises ``StackError``, ``SettingsError``."""
    began = time.monotonic()
    port = web_port(os.environ)
    folder = DataFolder(state.data_folder())
    folder.open()
    folder.lock()
    left = stop_leftovers(folder.run, {"postgres": Postgres.stop_signal})
    if left:
        say(f"Stopped what an earlier run had left behind: {', '.join(left)}.")
    require_free(port)
    stack = Stack(folder, load_or_create(folder.path / "secrets.json"), port, procfile or state.ROOT / "Procfile")
    return stack.run(began, demo=demo)


class Stack:
    """Everything that one ``portal up`` runs."""

    def __init__(self, folder: DataFolder, secrets: Secrets, port: int, procfile: Path) -> None:
        self.folder = folder
        base_url = os.environ.get("PORTAL_BASE_URL", "").strip() or f"http://localhost:{port}"
        parts = urlsplit(base_url)
        self.engines = Engines(folder, secrets, os.environ, origin=f"{parts.scheme}://{parts.netloc}")
        self.notes = [*folder.notes, *([self.engines.scanner_missing] if self.engines.scanner_missing else [])]
        self.freshclam = None
        # A test database is not what clamd would load after an update, and tests must not go online.
        if self.engines.clamd is not None and not self.engines.test_database:
            runs_here, note = clamav.update_status()
            if note:
                self.notes.append(note)
            if runs_here:
                self.freshclam = clamav.Freshclam(folder, self.engines.clamd)
        request_file = {"PORTAL_SIGNATURES_ASK": str(self.freshclam.request_file)} if self.freshclam else {}
        defaults = {
            **request_file,
            **self.engines.environment(),
            "PORTAL_BASE_URL": base_url,
            "PORTAL_SECRET_KEYS": secrets.session_key,
            "PORTAL_VAULT_KEYS": secrets.vault_key,
            "PORTAL_DATA_DIR": str(folder.path),
        }
        self.environment = state.merge(defaults, os.environ)
        self.settings = Settings.from_environ(self.environment, owner=True)
        self.processes = processes(procfile, folder, self.environment, port)
        self.supervisor = Supervisor(say, self._write_state)
        self.usable = False

    def run(self, began: float, *, demo: bool) -> int:
        """Start, watch, stop; the exit code."""
        self.supervisor.become_supervisor()
        try:
            phases = self._start()
            self._print_summary(time.monotonic() - began, phases)
            if demo:
                self.supervisor.add_one_off(OneOff("demo", self.folder, ["demo"], self.environment))
            self.supervisor.run()
            say("Stopping …")
            return 0
        except StackError:
            if not self.supervisor.stop_signals:
                raise
            return 0
        finally:
            self.supervisor.stop()
            self.folder.state.unlink(missing_ok=True)

    def _start(self) -> dict[str, float]:
        """Engines, set-up, processes; the seconds that each took."""
        began = time.monotonic()
        setup = Setup(self.folder, self.environment)
        self.supervisor.add_one_off(setup)
        for engine in self.engines:
            if engine is self.engines.clamd:
                self.supervisor.add_when(engine, self.engines.clamd.can_start)
            else:
                self.supervisor.add(engine)
        # The scanner may load its signatures for a while: files wait for it, pages do not.
        self.supervisor.wait_for([engine for engine in self.engines if engine is not self.engines.clamd])
        engines = time.monotonic()
        setup.begin()
        self.supervisor.wait(lambda: not setup.running(), 300, "Setting up the database")
        if setup.failed():
            raise StackError("Nothing was started. When the reason is removed, start again.")
        self.usable = True
        ready = time.monotonic()
        web, *others = self.processes
        self.supervisor.add(web)
        # Alone, so that nothing competes for the processor until there is a page.
        self.supervisor.wait_for([web])
        for process in others:
            self.supervisor.add(process)
        self._keep_signatures_fresh()
        return {"engines": engines - began, "set-up": ready - engines, "web": time.monotonic() - ready}

    def _keep_signatures_fresh(self) -> None:
        if self.freshclam is not None:
            self.supervisor.add(self.freshclam)
            self.supervisor.slow_polls.append(self.freshclam.poll)
            if self.engines.scanner_missing:
                self.notes.append("freshclam tries to download them now.")

    def _print_summary(self, seconds: float, phases: dict[str, float]) -> None:
        parts = ", ".join(f"{name} {took:.1f}" for name, took in phases.items())
        say(f"\nStowage is ready: {self.settings.base_url}   (after {seconds:.1f} s: {parts})")
        say(f"Its data is in {self.folder.path}, its logs in {self.folder.log}. Ctrl-C stops everything.")
        if self.settings.mail is None:
            say(f"E-mails are stored, not sent. Operators can read them at {self.settings.base_url}/operator/mail")
        for note in self.notes:
            say(note)
        say("")

    def _write_state(self) -> None:
        """Write the state of the stack for other commands, once they can use it."""
        if self.usable:
            with contextlib.suppress(OSError):  # a full disk must not stop what still runs
                state.write(self.folder, self.environment, self.supervisor.conditions())


def say(line: str) -> None:
    """Print a line; the terminal may have been closed."""
    with contextlib.suppress(OSError):
        click.echo(line)


def web_port(environ: Mapping[str, str]) -> int:
    """The port that ``PORTAL_PORT`` names, 8000 by default. Raises ``StackError`` when it is no port."""
    value = environ.get("PORTAL_PORT", "").strip() or "8000"
    if not (value.isascii() and value.isdigit() and 0 < int(value) < 65_536):
        raise StackError(f"PORTAL_PORT is '{value}', which is no port. Use a number such as 8000.")
    return int(value)


def require_free(port: int) -> None:
    """Raises ``StackError`` when the web server could not listen there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            what = "is already in use" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
            raise StackError(
                f"Port {port} {what}. Choose another, for example: PORTAL_PORT={port % 60_000 + 1} make run"
            ) from None
