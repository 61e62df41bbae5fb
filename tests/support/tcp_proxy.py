"""A proxy before clamd's TCP port: it can be shut, hold a file in the middle of its scan, or cut the line there.

What a scanner is asked for its proof is small; only streams of more than ``SMALL`` bytes count as files here.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Self

SMALL = 32 * 1024
CHUNK = 16 * 1024
FINAL_WITHIN = 120  # seconds a held scan waits at most


class TcpProxy:
    """Passes connections on to ``port`` of this machine, at an address that stays the same while it is shut."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.files = 0  # how many files went through, or began to
        self.cuts_left = 0
        self.held: threading.Event | None = None
        self.arrived = threading.Event()
        self._open = True
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._serve, name="tcp-proxy", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()

    def shut(self) -> None:
        """From now on whoever connects is sent away, as when the daemon is down."""
        self._open = False

    def open(self) -> None:
        """Back to normal."""
        self._open = True

    def cut(self, times: int = 1) -> None:
        """Break the line in the middle of the next files, as when the daemon dies there."""
        self.cuts_left = times

    def hold(self) -> None:
        """Let the next file wait in the middle until ``release``."""
        self.arrived.clear()
        self.held = threading.Event()

    def release(self) -> None:
        """Let it go on."""
        if self.held:
            self.held.set()
        self.held = None

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            if self._open:
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()
            else:
                client.close()

    def _pass(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port)) as daemon:
            threading.Thread(target=_pump, args=(daemon, client), daemon=True).start()
            seen = 0
            while piece := client.recv(CHUNK):
                if seen <= SMALL < seen + len(piece) and not self._lets_through():
                    return
                seen += len(piece)
                daemon.sendall(piece)

    def _lets_through(self) -> bool:
        self.files += 1
        if self.cuts_left:
            self.cuts_left -= 1
            return False
        if held := self.held:
            self.arrived.set()
            held.wait(FINAL_WITHIN)
        return True


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while piece := source.recv(CHUNK):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
