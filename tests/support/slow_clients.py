"""Clients that send a byte every 15 seconds, so that a server has to wait for them."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

PAUSE = 15.0  # seconds between two bytes
HEAD = "GET /login HTTP/1.1\r\nHost: {host}\r\nX-Slow: "
HALF_BODY = (
    "POST /login HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    "Content-Length: 2000\r\n\r\n" + "a" * 1000
)


@dataclass
class SlowClients:
    """Connections that trickle: every second one a head, the others a body."""

    port: int
    host: str
    tls: ssl.SSLContext | None = None
    connections: list[socket.socket] = field(default_factory=list)

    def connect(self, number: int, source: str = "127.0.0.1") -> None:
        """Open so many more, from this address."""
        for index in range(number):
            with contextlib.suppress(OSError):  # refused: that is an answer, too
                raw = socket.create_connection(("127.0.0.1", self.port), 5, source_address=(source, 0))
                raw.settimeout(5)
                connection = self.tls.wrap_socket(raw, server_hostname="localhost") if self.tls else raw
                self.connections.append(connection)
                first = HEAD if index % 2 else HALF_BODY
                connection.sendall(first.format(host=self.host).encode())

    def trickle(self) -> None:
        """One more byte from each; those that the server has closed are left out from now on."""
        for connection in list(self.connections):
            try:
                connection.sendall(b"a")
            except OSError:
                self._forget(connection)

    def open(self) -> int:
        """How many the server still keeps open. What it has answered does not count: its connection ends with it."""
        with selectors.DefaultSelector() as selector:
            for connection in self.connections:
                selector.register(connection, selectors.EVENT_READ)
            for key, _ in selector.select(0):
                self._forget(key.fileobj)  # type: ignore[arg-type]  # what was registered
        return len(self.connections)

    def close(self) -> None:
        """End all of them."""
        while self.connections:
            self._forget(self.connections[-1])

    def _forget(self, connection: socket.socket) -> None:
        self.connections.remove(connection)
        connection.close()


@contextlib.contextmanager
def slow_clients(port: int, host: str, tls: ssl.SSLContext | None = None) -> Iterator[SlowClients]:
    """None yet; from now on each of them sends a byte every 15 seconds."""
    clients = SlowClients(port, host, tls)
    stop = threading.Event()

    def run() -> None:
        while not stop.wait(PAUSE):
            clients.trickle()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield clients
    finally:
        stop.set()
        thread.join()
        clients.close()
