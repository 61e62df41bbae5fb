"""The Procfile's processes: the same lines that a deployment runs, beside the embedded engines."""

from __future__ import annotations

import os
import shutil
import sys
import urllib.request
from pathlib import Path

from honcho.environ import parse_procfile  # type: ignore[import-untyped]

from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder
from portal.embedded.service import Service
from portal.embedded.state import ROOT

COPIES = {"worker": 2}  # processes of one line; two workers let a small picture pass a large film


# The owner of the tables is above row-level security: its password is for the set-up alone, which creates them.
OWNERS = ("PORTAL_MIGRATION_DATABASE_URL", "PORTAL_MIGRATION_DATABASE_URL_FILE")


class Process(Service):
    """One line of the Procfile."""

    stop_seconds = 15.0
    withheld: tuple[str, ...] = OWNERS

    def __init__(self, name: str, folder: DataFolder, line: str, variables: dict[str, str]) -> None:
        super().__init__(name, folder)
        self.line = line
        self.variables = variables

    def command(self) -> list[str]:
        """The shell runs the line, as it does for every Procfile."""
        return ["/bin/sh", "-c", self.line]

    def environment(self) -> dict[str, str]:
        """The caller's environment with our variables; programs of this installation come first."""
        path = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
        whole = {**os.environ, "PYTHONUNBUFFERED": "1", **self.variables, "PATH": path}
        return {name: value for name, value in whole.items() if name not in self.withheld}

    def working_folder(self) -> Path:
        """The checkout, where the Procfile lies."""
        return ROOT


class Web(Process):
    """The process that answers browsers on ``port``."""

    def __init__(self, name: str, folder: DataFolder, line: str, variables: dict[str, str], port: int) -> None:
        super().__init__(name, folder, line, {**variables, "PORT": str(port)})
        self.port = port

    def ready(self) -> bool:
        """Whether it answers HTTP."""
        if not self.running():
            return False
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def processes(procfile: Path, folder: DataFolder, variables: dict[str, str], port: int) -> list[Process]:
    """A service for each process of the Procfile, web first. Raises ``StackError`` when it can't be parsed."""
    try:
        lines = parse_procfile(procfile.read_text(encoding="utf-8")).processes
    except (OSError, UnicodeDecodeError, AssertionError) as error:
        raise StackError(f"{procfile} can't be read as a Procfile: {error}") from None
    if "web" not in lines:
        raise StackError(f"{procfile} names no web process. A line must begin with 'web:'.")
    metrics = folder.path / "metrics"
    # All processes add up their metrics in files; the count begins with the stack, not with each process.
    shutil.rmtree(metrics, ignore_errors=True)
    metrics.mkdir()
    variables = {**variables, "PROMETHEUS_MULTIPROC_DIR": str(metrics)}
    found: list[Process] = [Web("web", folder, lines.pop("web"), variables, port)]
    for name, line in lines.items():
        copies = COPIES.get(name, 1)
        names = [name] if copies == 1 else [f"{name}.{number}" for number in range(1, copies + 1)]
        found.extend(Process(one, folder, line, variables) for one in names)
    return found
