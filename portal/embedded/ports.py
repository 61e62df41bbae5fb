"""Free ports on the loopback address, the same ones at every start as long as nobody else took them."""

from __future__ import annotations

import contextlib
import json
import random
import socket
from pathlib import Path

HOST = "127.0.0.1"
# Below Linux's range for outgoing connections (32768 and up), so that no client socket takes one between two starts.
FIRST, LAST = 15_000, 32_000


def is_free(port: int) -> bool:
    """Whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def answers(port: int) -> bool:
    """Whether something accepts connections on this loopback port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False


def choose(taken: set[int]) -> int:
    """A free port that is not in ``taken``."""
    while True:
        port = random.randint(FIRST, LAST)  # noqa: S311 - a port is no secret
        if port not in taken and is_free(port):
            return port


class Ports:
    """Ports by name, saved in a file so that addresses (and what browsers cached under them) stay the same."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            known = json.loads(file.read_text(encoding="utf-8"))
            self._known = {str(name): int(port) for name, port in known.items()}
        except (OSError, ValueError, TypeError, AttributeError):
            self._known = {}
        self._given: dict[str, int] = {}

    def port(self, name: str) -> int:
        """The port of this name: last time's when it is free, else a new one."""
        if name not in self._given:
            last = self._known.get(name)
            taken = set(self._given.values())
            usable = last is not None and last not in taken and is_free(last)
            self._given[name] = last if usable and last is not None else choose(taken | set(self._known.values()))
        return self._given[name]

    def save(self) -> None:
        """Save the ports that were given out."""
        self._known |= self._given
        self._file.write_text(json.dumps(self._known, indent=1, sort_keys=True), encoding="utf-8")
