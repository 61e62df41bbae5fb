"""The environment becomes settings, or one refusal that names everything that is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from flask import request

from portal.app import create_app
from portal.settings import Settings, SettingsError
from tests.support.engines import TestEngines

COMPLETE = {
    "PORTAL_DATABASE_URL": "postgresql+psycopg://app:x@db/stowage",
    "PORTAL_REDIS_URL": "redis://queue/0",
    "PORTAL_S3_ENDPOINT": "https://s3.example.com/",
    "PORTAL_S3_BUCKET": "files",
    "PORTAL_S3_ACCESS_KEY_ID": "key",
    "PORTAL_S3_SECRET_ACCESS_KEY": "canary-secret",
    "PORTAL_SCANNER_URL": "tcp://clamd:3310",
    "PORTAL_BASE_URL": "https://files.example.com",
    "PORTAL_SECRET_KEYS": "n" * 32 + "," + "o" * 32,
    "PORTAL_VAULT_KEYS": "v" * 32,
}


def test_a_complete_environment_is_read_with_its_defaults() -> None:
    settings = Settings.from_environ(COMPLETE)
    assert settings.s3_endpoint == settings.s3_public_endpoint == "https://s3.example.com"
    assert settings.secret_keys == ("n" * 32, "o" * 32)
    assert (settings.s3_region, settings.log_format, settings.trusted_proxies) == ("us-east-1", "text", 0)


def test_everything_that_is_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ({})
    for name in COMPLETE:
        assert name in str(refusal.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORTAL_BASE_URL", "files.example.com"),
        ("PORTAL_BASE_URL", "https://files.example.com:port"),
        ("PORTAL_DATABASE_URL", "mysql://app:x@db/stowage"),
        ("PORTAL_DATABASE_URL", "db"),
        ("PORTAL_MIGRATION_DATABASE_URL", "postgresql://owner:x@db:70000/stowage"),
        ("PORTAL_REDIS_URL", "queue:6379"),
        ("PORTAL_SCANNER_URL", "http://clamd"),
        ("PORTAL_SECRET_KEYS", "short"),
        ("PORTAL_LOG_FORMAT", "xml"),
        ("PORTAL_TRUSTED_PROXIES", "-1"),
    ],
)
def test_a_malformed_value_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        Settings.from_environ(COMPLETE | {name: value})


def test_a_wrong_store_is_named_once() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ(COMPLETE | {"PORTAL_S3_ENDPOINT": "s3.example.com"})
    assert len(refusal.value.problems) == 1


def test_the_owner_of_the_tables_is_named_with_the_rest_where_they_are_made() -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ(COMPLETE | {"PORTAL_S3_BUCKET": ""}, owner=True)
    assert len(refusal.value.problems) == 2
    assert "PORTAL_MIGRATION_DATABASE_URL is missing" in str(refusal.value)


@pytest.mark.parametrize("form", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_usual_address_of_a_database_gets_the_driver_that_is_here(form: str) -> None:
    settings = Settings.from_environ(COMPLETE | {"PORTAL_DATABASE_URL": f"{form}://app:x@db/stowage"})
    assert settings.database_url == "postgresql+psycopg://app:x@db/stowage"


@pytest.mark.parametrize("entry_point", ["portal.wsgi", "portal.worker", "portal.scheduler"])
def test_each_entry_point_of_a_deployment_ends_with_the_list_and_no_traceback(entry_point: str) -> None:
    environment = {"PATH": os.environ["PATH"], "PORTAL_BASE_URL": "https://files.example.com"}
    done = subprocess.run(
        [sys.executable, "-m", entry_point], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("The configuration is incomplete") and "Traceback" not in done.stderr
    assert done.stderr.count("\n  - ") == len(COMPLETE) - 1


def test_a_worker_without_valkey_ends_with_a_line_and_no_traceback(engines: TestEngines) -> None:
    environment = {"PATH": os.environ["PATH"], **engines.environment(), "PORTAL_REDIS_URL": "redis://127.0.0.1:1/0"}
    command = [sys.executable, "-m", "portal.worker"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "Valkey does not answer" in done.stderr and "Traceback" not in done.stderr


def test_any_value_may_come_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from-a-file\n")
    environ = {name: value for name, value in COMPLETE.items() if name != "PORTAL_S3_SECRET_ACCESS_KEY"}
    settings = Settings.from_environ(environ | {"PORTAL_S3_SECRET_ACCESS_KEY_FILE": str(secret)})
    assert settings.s3_secret_access_key == "from-a-file"


def test_a_file_that_can_not_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="PORTAL_REDIS_URL_FILE names a file that can't be read"):
        Settings.from_environ({**COMPLETE, "PORTAL_REDIS_URL": "", "PORTAL_REDIS_URL_FILE": str(tmp_path / "none")})


def test_no_secret_is_shown() -> None:
    shown = repr(Settings.from_environ(COMPLETE))
    assert "canary-secret" not in shown
    assert "n" * 32 not in shown


@pytest.mark.parametrize(("proxies", "seen"), [(0, "127.0.0.1"), (1, "203.0.113.9")])
def test_only_our_own_proxies_are_believed_about_the_client(engines: TestEngines, proxies: int, seen: str) -> None:
    app = create_app(engines.settings(trusted_proxies=proxies))
    addresses: list[str | None] = []
    app.before_request_funcs.setdefault(None, []).append(lambda: addresses.append(request.remote_addr))
    app.test_client().get("/healthz", headers={"X-Forwarded-For": "198.51.100.1, 203.0.113.9"})
    assert addresses == [seen]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail.example.com", ("mail.example.com", 25, None, None, None)),
        ("smtp://mail.example.com?starttls", ("mail.example.com", 587, "starttls", None, None)),
        ("smtps://a%40b:p%2Fw@mail.example.com", ("mail.example.com", 465, "tls", "a@b", "p/w")),
        ("smtp://u:p@127.0.0.1:1025", ("127.0.0.1", 1025, None, "u", "p")),
    ],
)
def test_where_mail_goes(url: str, expected: tuple[object, ...]) -> None:
    mail = Settings.from_environ(COMPLETE | {"PORTAL_MAIL_URL": url}).mail
    assert mail is not None
    assert (mail.host, mail.port, mail.security, mail.user, mail.password) == expected
    assert "p/w" not in repr(mail)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://host:port",
        "smtp://host/path",
        "smtp://host?tls=maybe",
        "smtp://user:canary-secret@mail.example.com",
    ],
)
def test_where_mail_can_not_go(url: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ(COMPLETE | {"PORTAL_MAIL_URL": url})
    assert "PORTAL_MAIL_URL" in str(refusal.value)
    assert "canary" not in str(refusal.value)


@pytest.mark.parametrize("sender", ["nobody", "a@b\nBcc: c@d", "a b@c"])
def test_whom_mail_can_not_come_from(sender: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        Settings.from_environ(COMPLETE | {"PORTAL_MAIL_FROM": sender})
    assert "PORTAL_MAIL_FROM" in str(refusal.value)


def test_whom_mail_comes_from() -> None:
    mail = {"PORTAL_MAIL_URL": "smtp://mail", "PORTAL_MAIL_FROM": "Files <files@example.com>"}
    settings = Settings.from_environ(COMPLETE | mail)
    assert settings.mail is not None and settings.mail.sender == "Files <files@example.com>"
