"""The portal's own processes as children: web under gunicorn, workers and the clock, each with its log in a folder."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
GUNICORN = ("gunicorn", "--workers", "1", "--worker-class", "gthread", "--threads", "8", "--no-control-socket")
QUIET = ("--log-level", "warning", "--graceful-timeout", "2")


class Processes:
    """What was started, to be stopped together."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        own = {name: value for name, value in os.environ.items() if not name.startswith("PORTAL_")}
        self.environment = {**own, **environment, "PYTHONUNBUFFERED": "1"}
        self._running: list[subprocess.Popen[bytes]] = []

    def web(self, port: int, **environment: str) -> str:
        """Serve the portal on this port, with these variables beside the common ones; its address."""
        address = environment.setdefault("PORTAL_BASE_URL", f"http://localhost:{port}")
        command = [*GUNICORN, *QUIET, "--bind", f"127.0.0.1:{port}", "portal.wsgi:app"]
        self.start(f"web-{port}", *command, **environment)
        self._wait(f"{address}/healthz")
        return address

    def start(self, name: str, *module: str, **environment: str) -> subprocess.Popen[bytes]:
        """``python -m module …``"""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *module],
                cwd=ROOT,
                env={**self.environment, **environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End all of them."""
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def logs(self) -> str:
        """What they have said, for a failing test."""
        return "\n".join(f"--- {path.name}\n{path.read_text()}" for path in sorted(self.folder.glob("*.log")))

    def _wait(self, address: str, seconds: float = 30) -> None:
        deadline = time.monotonic() + seconds
        with httpx.Client(trust_env=False) as client:
            while True:
                assert time.monotonic() < deadline, self.logs()
                try:
                    if client.get(address).status_code == 200:
                        return
                except httpx.TransportError:
                    time.sleep(0.1)
