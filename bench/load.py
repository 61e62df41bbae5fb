"""A client that keeps a web server busy: some connections, each sends its next request as soon as it is answered.

It runs in a process of its own and does next to nothing per answer, because it shares the processors with the server:
a client of 100 µs a request would make every server look alike.

    fire(port, [request], seconds=3)  # → answers per second
"""

from __future__ import annotations

import base64
import json
import re
import selectors
import socket
import subprocess
import sys
import time
from collections import Counter
from itertools import cycle
from typing import Any

WARM_SECONDS, MOST_WARM_ROUNDS = 3, 7  # the first answers of a busy machine take longer than a second
CONNECTIONS = 12  # fewer than the server's threads, so that none waits for a place
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def get(path: str, host: str, **headers: str) -> bytes:
    """A GET as bytes."""
    return _head("GET", path, host, headers) + b"\r\n"


def post(path: str, host: str, body: dict[str, Any], **headers: str) -> bytes:
    """A POST of JSON as bytes."""
    text = json.dumps(body).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(text)), **headers}
    return _head("POST", path, host, headers) + b"\r\n" + text


def fire(port: int, requests: list[bytes], seconds: float, expect: int = 200) -> float:
    """Answers per second of the server on ``port``. Raises when an answer has another status than ``expect``."""
    order = {"port": port, "seconds": seconds, "requests": [base64.b64encode(each).decode() for each in requests]}
    done = subprocess.run(
        [sys.executable, "-m", "bench.load"], input=json.dumps(order).encode(), stdout=subprocess.PIPE, check=True
    )
    answer = json.loads(done.stdout)
    others = {status: count for status, count in answer["statuses"].items() if status != str(expect)}
    if others:
        raise RuntimeError(f"answers of another status than {expect}: {others}; the last began: {answer['sample']}")
    if not answer["statuses"]:
        raise RuntimeError(f"no answer within {seconds} s")
    return float(answer["statuses"][str(expect)]) / float(answer["seconds"])


def warm(port: int, requests: list[bytes], expect: int = 200) -> None:
    """Fire until the server is no longer getting faster: every process has by then compiled its templates, and every
    connection to the database has prepared its statements. On a busy machine that takes longer than on a quiet one.
    """
    rates = [fire(port, requests, WARM_SECONDS, expect) for _ in range(2)]
    while rates[-1] > 1.05 * max(rates[:-1]) and len(rates) < MOST_WARM_ROUNDS:
        rates.append(fire(port, requests, WARM_SECONDS, expect))


def _head(method: str, path: str, host: str, headers: dict[str, str]) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n").encode()


class _Client:
    """One connection."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), 30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = bytearray()
        self.wanted = -1

    def receive(self) -> str | None:
        """The status of an answer that is complete now, or None."""
        some = self.socket.recv(262_144)
        if not some:
            raise ConnectionError("the server closed a connection")
        self.buffer += some
        if self.wanted < 0:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            length = _LENGTH.search(self.buffer, 0, end)
            self.wanted = end + 4 + int(length[1] if length else 0)
        return self.buffer[9:12].decode() if len(self.buffer) >= self.wanted else None


def _run(port: int, requests: list[bytes], seconds: float) -> dict[str, Any]:
    sources, statuses, sample = cycle(requests), Counter[str](), ""
    watch = selectors.DefaultSelector()
    clients = [_Client(port) for _ in range(CONNECTIONS)]
    for client in clients:
        watch.register(client.socket, selectors.EVENT_READ, client)
        client.socket.sendall(next(sources))
    began = time.perf_counter()
    while (spent := time.perf_counter() - began) < seconds:
        for key, _ in watch.select(1):
            client = key.data
            status = client.receive()
            if status is None:
                continue
            statuses[status] += 1
            if not status.startswith("2"):
                sample = client.buffer[-300:].decode(errors="replace")
            client.buffer.clear()
            client.wanted = -1
            client.socket.sendall(next(sources))
    for client in clients:
        client.socket.close()
    return {"seconds": spent, "statuses": statuses, "sample": sample}


if __name__ == "__main__":
    _order = json.load(sys.stdin)
    _requests = [base64.b64decode(each) for each in _order["requests"]]
    print(json.dumps(_run(_order["port"], _requests, _order["seconds"])))
