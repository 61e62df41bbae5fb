"""``portal up`` as a person runs it: a process of its own, most times with a small Procfile instead of the portal's."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from portal.embedded.ports import choose
from portal.embedded.state import ROOT, read

# Answers the one question that the supervisor asks of a web process.
WEB = """
import http.server, os
class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers()
    def log_message(self, *_):
        pass
http.server.HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Page).serve_forever()
"""


class Up:
    """One ``portal up`` on a data folder. ``lines`` are the Procfile's beside web; ``real`` takes the portal's own."""

    def __init__(
        self, folder: Path, *, lines: dict[str, str] | None = None, real: bool = False, **environ: str
    ) -> None:
        self.folder = folder
        self.port = choose(set())
        program = folder.with_name("web.py")
        program.write_text(WEB, encoding="utf-8")
        self.procfile = folder.with_name("Procfile")
        self.arguments = [] if real else ["--procfile", str(self.procfile)]
        processes = {"web": f"exec python {program}", **(lines or {"clock": "exec sleep 3600"})}
        self.procfile.write_text("".join(f"{name}: {line}\n" for name, line in processes.items()), encoding="utf-8")
        self.output = folder.with_name("output")
        clean = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        self.environ = {**clean, "PORTAL_DATA_DIR": str(folder), "PORTAL_PORT": str(self.port), **environ}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it says that it is ready."""
        self.launch()
        self.wait_for("Stowage is ready", 60)

    def launch(self) -> None:
        """Start it."""
        command = [sys.executable, "-m", "portal", "up", *self.arguments]
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environ, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def said(self) -> str:
        """All that it has printed since its start."""
        return self.output.read_text(encoding="utf-8")

    def wait_for(self, words: str, seconds: float = 30) -> None:
        """Wait until it prints these words."""
        assert self.process
        deadline = time.monotonic() + seconds
        while words not in self.said():
            assert time.monotonic() < deadline, f"never said '{words}': {self.said()}"
            assert self.process.poll() is None, f"ended without saying '{words}': {self.said()}"
            time.sleep(0.05)

    def end(self) -> int:
        """Wait for its end; the exit code."""
        assert self.process
        return self.process.wait(30)

    def interrupt(self) -> int:
        """Ctrl-C; the exit code."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        return self.end()

    def interrupt_twice(self) -> int:
        """Ctrl-C, and again for what does not end; the exit code."""
        assert self.process
        self.process.send_signal(signal.SIGINT)
        self.wait_for("Stopping")
        return self.interrupt()

    def family(self) -> list[psutil.Process]:
        """The supervisor and all that runs under it."""
        assert self.process
        head = psutil.Process(self.process.pid)
        return [head, *head.children(recursive=True)]

    def kill_everything(self) -> None:
        """kill -9 of every process, the supervisor first."""
        for process in self.family():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        self.end()

    def environment(self) -> dict[str, str]:
        """The variables of the running stack."""
        noted = read(self.folder)
        assert noted
        found: dict[str, str] = noted["environment"]
        return found

    def pid(self, name: str) -> int:
        """The process id of one service."""
        noted = read(self.folder)
        assert noted
        return int(noted["processes"][name]["pid"])

    def clean_up(self) -> None:
        """End it whatever happened."""
        if self.process and self.process.poll() is None:
            self.interrupt()


def alive(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; a killed one gets a moment to go."""
    return list(psutil.wait_procs(processes, timeout=30)[1])
