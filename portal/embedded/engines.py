"""The engines of one stack that the caller did not bring, and the environment that leads to them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from portal.embedded import clamav, seaweedfs
from portal.embedded.clamav import Clamd
from portal.embedded.folder import DataFolder
from portal.embedded.ports import Ports
from portal.embedded.postgres import APPLICATION, OWNER, Postgres
from portal.embedded.seaweedfs import SeaweedFS
from portal.embedded.secret import Secrets
from portal.embedded.service import Service
from portal.embedded.valkey import Valkey

# An engine is the caller's as soon as one of these is set.
_DATABASE = ("PORTAL_DATABASE_URL", "PORTAL_MIGRATION_DATABASE_URL")
_QUEUE = ("PORTAL_REDIS_URL",)
_STORE = ("PORTAL_S3_ENDPOINT", "PORTAL_S3_ACCESS_KEY_ID", "PORTAL_S3_SECRET_ACCESS_KEY")
_SCANNER = ("PORTAL_SCANNER_URL",)


class Engines:
    """What runs beside the portal. ``origin``: the address of the pages that browsers upload from."""

    def __init__(
        self, folder: DataFolder, secrets: Secrets, environ: Mapping[str, str], *, origin: str, durable: bool = True
    ) -> None:
        ports = Ports(folder.path / "ports.json")
        own_database, own_queue, own_store, own_scanner = (
            not _is_set(environ, names) for names in (_DATABASE, _QUEUE, _STORE, _SCANNER)
        )
        self.test_database = (
            Path(environ["PORTAL_SCANNER_TEST_DATABASE"]) if environ.get("PORTAL_SCANNER_TEST_DATABASE") else None
        )
        self.scanner_missing = clamav.what_is_missing(self.test_database) if own_scanner else None
        self.postgres = Postgres(folder, secrets, ports.port("postgres"), durable=durable) if own_database else None
        self.valkey = Valkey(folder, secrets, ports.port("valkey")) if own_queue else None
        self.store = SeaweedFS(folder, secrets, ports, origin) if own_store else None
        self.clamd = self._scanner(folder, environ) if own_scanner and clamav.program("clamd") else None
        self._own_scanner = own_scanner
        ports.save()

    def __iter__(self) -> Iterator[Service]:
        """The engines that are ours to run, in the order of starting; making a database takes longest."""
        return (engine for engine in (self.store, self.valkey, self.clamd, self.postgres) if engine is not None)

    def environment(self) -> dict[str, str]:
        """The ``PORTAL_*`` variables that lead to our engines; none for those that the caller brought."""
        found: dict[str, str] = {}
        if self.postgres:
            found["PORTAL_DATABASE_URL"] = self.postgres.url(APPLICATION)
            found["PORTAL_MIGRATION_DATABASE_URL"] = self.postgres.url(OWNER)
        if self.valkey:
            found["PORTAL_REDIS_URL"] = self.valkey.url
        if self.store:
            found["PORTAL_S3_ENDPOINT"] = self.store.endpoint
            found["PORTAL_S3_REGION"] = "us-east-1"
            found["PORTAL_S3_BUCKET"] = seaweedfs.BUCKET
            found["PORTAL_S3_ACCESS_KEY_ID"] = self.store.secrets.s3_access_key_id
            found["PORTAL_S3_SECRET_ACCESS_KEY"] = self.store.secrets.s3_secret_access_key
            found["PORTAL_EGRESS_ALLOW"] = self.store.endpoint
            found["PORTAL_STORE_FOLDER"] = str(self.store.home)
        if self._own_scanner:
            found["PORTAL_SCANNER_URL"] = self.clamd.url if self.clamd else "off"
        return found

    def _scanner(self, folder: DataFolder, environ: Mapping[str, str]) -> Clamd:
        return Clamd(folder, self.test_database, image_hashes=environ.get("PORTAL_SCANNER_IMAGE_HASHES") == "on")


def _is_set(environ: Mapping[str, str], names: tuple[str, ...]) -> bool:
    return any(environ.get(name, "").strip() or environ.get(f"{name}_FILE", "").strip() for name in names)
