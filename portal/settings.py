"""Settings of one process: frozen, from ``PORTAL_*`` variables, complete or refused. No secret has a default.

Any value may come from a file instead: ``PORTAL_X_FILE`` names it (the convention of Docker and Kubernetes secrets).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit


class SettingsError(Exception):
    """What is missing or wrong in the environment, all of it at once; never shows a value."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The configuration is incomplete:\n" + "\n".join(f"  - {line}" for line in problems))
        self.problems = problems


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
    mail_url: str | None = field(default=None, repr=False)
    log_format: str = "text"
    trusted_proxies: int = 0

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] = os.environ) -> Settings:
        """Read the environment. Raises ``SettingsError`` that names every missing or malformed variable."""
        reader = _Reader(environ)
        s3_endpoint = reader.url("PORTAL_S3_ENDPOINT")
        test_database = reader.optional("PORTAL_SCANNER_TEST_DATABASE")
        settings = cls(
            database_url=reader.required("PORTAL_DATABASE_URL"),
            redis_url=reader.required("PORTAL_REDIS_URL"),
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
            migration_database_url=reader.optional("PORTAL_MIGRATION_DATABASE_URL"),
            scanner_test_database=Path(test_database) if test_database else None,
            egress_allow=reader.parts(reader.optional("PORTAL_EGRESS_ALLOW")),
            mail_url=reader.optional("PORTAL_MAIL_URL"),
            log_format=reader.one_of("PORTAL_LOG_FORMAT", ("text", "json")),
            trusted_proxies=reader.count("PORTAL_TRUSTED_PROXIES"),
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

    def url(self, name: str, default: str | None = None) -> str:
        value = (self.optional(name) or default) if default is not None else self.required(name)
        if not value:
            return ""
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
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

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        value = self.optional(name) or choices[0]
        if value not in choices:
            self.problems.append(f"{name} must be one of: {', '.join(choices)}")
        return value
