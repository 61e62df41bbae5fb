"""Requests written byte by byte, for what no HTTP client would send."""

from __future__ import annotations

import socket
from dataclasses import dataclass


@dataclass(frozen=True)
class RawAnswer:
    """An answer as it came: ``headers`` in lower case, the last of a name."""

    status: int
    headers: dict[str, str]
    body: str


def send_raw(port: int, target: str, *lines: str, host: str, method: str = "GET", seconds: float = 20) -> RawAnswer:
    """One request with these header lines to 127.0.0.1; the connection is closed by the server."""
    head = "\r\n".join([f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        connection.sendall(head.encode("latin-1"))
        received = b"".join(iter(lambda: connection.recv(65_536), b""))
    return parse_answer(received)


def parse_answer(received: bytes) -> RawAnswer:
    """Status, headers and body. An empty answer has status 0: the server closed the connection."""
    head, _, body = received.decode("latin-1").partition("\r\n\r\n")
    first, *lines = head.split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    return RawAnswer(int(first.split(" ")[1]) if first else 0, headers, body)
