"""Settings of one process: frozen, from ``PORTAL_*`` variables, complete or refused. No secret has a default.

Any value may come from a file instead: ``PORTAL_X_FILE`` names it (the convention of Docker and Kubernetes secrets).
"""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import parseaddr
from pathlib import Path
from urllib.parse import unquote, urlsplit

DATABASES = ("postgresql+psycopg", "postgresql", "postgres")
QUEUES = ("redis", "rediss", "unix")
MAIL_PORTS = {"smtp": 25, "submission": 587, "smtps": 465}
MAIL_OPTIONS = ("", "starttls", "starttls=1", "starttls=true")


class SettingsError(Exception):
    """What is missing or wrong in the environment, all of it at once; never shows a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The configuration is incomplete:\n" + "\n".join(f"  - {line}" for line in problems))
        self.problems = problems


@dataclass(frozen=True)
class MailServer:
    """Where mail is handed in. ``security``: "tls" from the first byte, "starttls" or none.

    ``sender`` is an address, with or without a name; None: ``stowage@`` the portal's own host.
    """

    host: str
    port: int
    security: str | None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str | None = None


@dataclass(frozen=True)
class Settings:
    """What a deployment decides. Secrets are left out of ``repr``."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    s3_endpoint: str
    s3_public_endpoint: str
    s3_region: str
    s3_bucket: str
    s3_access_key_id: str
    s3_secret_access_key: str = field(repr=False)
    scanner_url: str
    base_url: str
    secret_keys: tuple[str, ...] = field(repr=False)
    vault_keys: tuple[str, ...] = field(repr=False)
    migration_database_url: str | None = field(default=None, repr=False)
    scanner_test_database: Path | None = None
    egress_allow: tuple[str, ...] = ()
    mail: MailServer | None = None
    log_format: str = "text"
    trusted_proxies: int = 0
    store_folder: Path | None = None
    signatures_ask: Path | None = None
    pgbouncer: bool = False
    worker_queues: tuple[str, ...] = ()
    token_days: int = 365
    open_uploads: int = 1000
    open_upload_bytes: int = 1 << 40
    api_requests: int = 6000
    api_tenant_requests: int = 12_000

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ, *, owner: bool = False) -> Settings:
        """Read the environment. Raises ``SettingsError`` that names every missing or malformed variable.

        ``owner``: the address of the tables' owner must be there, too.
        """
        reader = _Reader(environ)
        s3_endpoint = reader.url("PORTAL_S3_ENDPOINT")
        test_database = reader.optional("PORTAL_SCANNER_TEST_DATABASE")
        store_folder, ask = reader.optional("PORTAL_STORE_FOLDER"), reader.optional("PORTAL_SIGNATURES_ASK")
        settings = cls(
            database_url=reader.database("PORTAL_DATABASE_URL") or "",
            redis_url=reader.queue("PORTAL_REDIS_URL"),
            s3_endpoint=s3_endpoint,
            s3_public_endpoint=reader.url("PORTAL_S3_PUBLIC_ENDPOINT", default=s3_endpoint),
            s3_region=reader.optional("PORTAL_S3_REGION") or "us-east-1",
            s3_bucket=reader.required("PORTAL_S3_BUCKET"),
            s3_access_key_id=reader.required("PORTAL_S3_ACCESS_KEY_ID"),
            s3_secret_access_key=reader.required("PORTAL_S3_SECRET_ACCESS_KEY"),
            scanner_url=reader.scanner("PORTAL_SCANNER_URL"),
            base_url=reader.url("PORTAL_BASE_URL"),
            secret_keys=reader.keys("PORTAL_SECRET_KEYS"),
            vault_keys=reader.keys("PORTAL_VAULT_KEYS"),
            migration_database_url=reader.database("PORTAL_MIGRATION_DATABASE_URL", needed=owner),
            scanner_test_database=Path(test_database) if test_database else None,
            egress_allow=reader.parts(reader.optional("PORTAL_EGRESS_ALLOW")),
            mail=reader.mail("PORTAL_MAIL_URL", "PORTAL_MAIL_FROM"),
            log_format=reader.one_of("PORTAL_LOG_FORMAT", ("text", "json")),
            trusted_proxies=reader.count("PORTAL_TRUSTED_PROXIES"),
            store_folder=Path(store_folder) if store_folder else None,
            signatures_ask=Path(ask) if ask else None,
            pgbouncer=reader.one_of("PORTAL_PGBOUNCER", ("0", "1")) == "1",
            worker_queues=reader.parts(reader.optional("PORTAL_WORKER_QUEUES")),
            open_uploads=reader.number("PORTAL_OPEN_UPLOADS", 1, 1_000_000, default=1000),
            open_upload_bytes=reader.number("PORTAL_OPEN_UPLOAD_BYTES", 1, 1 << 50, default=1 << 40),
            api_requests=reader.number("PORTAL_API_REQUESTS", 60, 1_000_000, default=6000),
            api_tenant_requests=reader.number("PORTAL_API_TENANT_REQUESTS", 60, 1_000_000, default=12_000),
            token_days=reader.number("PORTAL_TOKEN_DAYS", 1, 3650, default=365),
        )
        if reader.problems:
            raise SettingsError(reader.problems)
        return settings


class _Reader:
    """Collects problems instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.problems: list[str] = []

    def optional(self, name: str) -> str | None:
        value = self.environ.get(name, "").strip()
        file = self.environ.get(f"{name}_FILE", "").strip()
        if value or not file:
            return value or None
        try:
            return Path(file).read_text(encoding="utf-8").strip() or None
        except (OSError, UnicodeDecodeError):
            self.problems.append(f"{name}_FILE names a file that can't be read: {file}")
            return None

    def required(self, name: str) -> str:
        before = len(self.problems)
        value = self.optional(name)
        if value is None and len(self.problems) == before:
            self.problems.append(f"{name} is missing (set it, or {name}_FILE)")
        return value or ""

    def database(self, name: str, *, needed: bool = True) -> str | None:
        """With the driver that is installed, whatever the short forms of the address leave open."""
        value = self.required(name) if needed else self.optional(name)
        scheme, colon, rest = (value or "").partition("://")
        if value and not (colon and scheme in DATABASES and _has_port(value)):
            self.problems.append(f"{name} must be postgresql+psycopg://user:password@host:5432/database")
        return f"{DATABASES[0]}://{rest}" if value else None

    def queue(self, name: str) -> str:
        value = self.required(name)
        if value and not (urlsplit(value).scheme in QUEUES and _has_port(value)):
            self.problems.append(f"{name} must be redis://host:6379/0, rediss://… or unix:///path")
        return value

    def url(self, name: str, default: str | None = None) -> str:
        value = self.optional(name) if default is not None else self.required(name)
        if not value:
            return default or ""
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or not _has_port(value):
            self.problems.append(f"{name} must be an http or https address such as https://files.example.com")
        return value.rstrip("/")

    def scanner(self, name: str) -> str:
        value = self.required(name)
        if value and value != "off" and not value.startswith(("tcp://", "unix:///")):
            self.problems.append(f"{name} must be tcp://host:port, unix:///path or off")
        return value

    def keys(self, name: str) -> tuple[str, ...]:
        value = self.required(name)
        keys = self.parts(value)
        if any(len(key) < 32 for key in keys):
            self.problems.append(f"{name} must hold keys of at least 32 characters, newest first, separated by commas")
        return keys

    def mail(self, url_name: str, sender_name: str) -> MailServer | None:
        """smtp://[user:password@]host[:port][?starttls] or smtps://…; without it no e-mail is sent."""
        url, sender = self.optional(url_name), self.optional(sender_name)
        if sender is not None and not _is_address(sender):
            self.problems.append(f"{sender_name} must be an address: files@example.com or Stowage <files@example.com>")
        if url is None:
            return None
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            host = port = None
        if (
            host is None
            or parts.scheme not in ("smtp", "smtps")
            or parts.path.strip("/")
            or parts.query not in MAIL_OPTIONS
        ):
            self.problems.append(
                f"{url_name} must be smtp://user:password@host:587?starttls or smtps://user:password@host:465"
                " (percent-encode what is special in user and password)"
            )
            return None
        tls = parts.scheme == "smtps"
        security = "tls" if tls else "starttls" if parts.query else None
        if parts.password and security is None and not _is_this_machine(host):
            self.problems.append(f"{url_name} would send a password unencrypted: add ?starttls, or use smtps://")
        usual = MAIL_PORTS["submission" if security == "starttls" else parts.scheme]
        user, password = (unquote(part) if part else None for part in (parts.username, parts.password))
        return MailServer(host, port or usual, security, user, password, sender)

    def parts(self, value: str | None) -> tuple[str, ...]:
        return tuple(part.strip() for part in (value or "").split(",") if part.strip())

    def count(self, name: str) -> int:
        value = self.optional(name) or "0"
        if not value.isdecimal() or int(value) > 10:
            self.problems.append(
                f"{name} must be a number from 0 to 10: how many proxies of yours stand before the portal"
            )
            return 0
        return int(value)

    def number(self, name: str, least: int, most: int, *, default: int) -> int:
        value = self.optional(name) or str(default)
        if not re.fullmatch(r"[0-9]{1,18}", value) or not least <= int(value) <= most:
            self.problems.append(f"{name} must be a number from {least} to {most}")
            return default
        return int(value)

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.optional(name) or choices[0]
        if value not in choices:
            self.problems.append(f"{name} must be one of: {', '.join(choices)}")
        return value


@contextmanager
def exit_with_message() -> Iterator[None]:
    """For the entry points: a wrong environment ends the process with a list of its errors, not with a traceback."""
    try:
        yield
    except SettingsError as error:
        sys.exit(str(error))


def _has_port(url: str) -> bool:
    """A port that can be one, or none."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _is_address(words: str) -> bool:
    """``files@example.com`` or ``Stowage <files@example.com>``, on one line."""
    address = parseaddr(words)[1]
    local, _, host = address.rpartition("@")
    return bool(local and host) and words.isprintable() and " " not in address


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
