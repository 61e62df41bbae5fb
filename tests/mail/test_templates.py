"""Every email can be written, says the same in plain text and HTML, and what people typed stays words."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from jinja2 import UndefinedError

from portal.mail.rendering import one_line, render
from portal.mail.service import Addressee

FOLDER = Path(__file__).parent.parent.parent / "templates" / "mail"
AT, LATER = datetime(2026, 11, 23, 9, 5, tzinfo=UTC), datetime(2026, 11, 30, 9, 5, tzinfo=UTC)
ITEMS = [{"file_name": "a & b.zip", "place": "Press", "found": "Eicar-Test-Signature", "deadline": LATER}]
PATH = {"path": "/t/acme/there"}
STORE = {"place": "Press", "bucket": "acme-files", "at": LATER, **PATH}
ASKED = {"person": "Bob", "message": "The fair is on Monday.", "place": "Press", **PATH}
HELD = {"file_name": "in<b>voice.pdf", "size_bytes": 5 << 20, "person": "Bob", "signature": "Eicar", "at": AT}
CONTEXTS: dict[str, dict[str, Any]] = {
    "quota_warning": {"place": "Press", "is_tenant": False, "tenant_name": "Acme", "level": "high", "percent": 90.4}
    | {"used_bytes": 9 << 30, "limit_bytes": 10 << 30, **PATH},
    "quota_request": {
        "tenant_name": "Acme",
        "used_bytes": 9 << 30,
        "limit_bytes": None,
        "requested_limit_bytes": 20 << 30,
    }
    | ASKED,
    "quota_answer": {"granted": True, "limit_bytes": 20 << 30, **ASKED},
    "rules_proposed": {"person": "Tina", "tenant_name": "Acme", **PATH},
    "infected": {"place": "Press", "tenant_name": "Acme", "deadline": LATER, **HELD, **PATH},
    "quarantine_digest": {"tenant_name": "Acme", "held": 3, "new": 2, "leaving": 1, "items": ITEMS, **PATH},
    "storage_unhealthy": {"reason": "The key is not accepted any more.", **STORE},
    "storage_recovered": {"since": AT, **STORE},
    "webhook_disabled": {"tenant_name": "Acme", "endpoint": "https://example.com", "reason": "It answered 500."}
    | {"since": AT, **PATH},
    "token_created": {"token_name": "Nightly", "scopes": ["Read files"], "workspaces": ["Press"], "expires_at": LATER}
    | PATH,
    "invitation": {
        "person": "Alice",
        "place": "Press",
        "tenant_name": "Acme",
        "role": "Editor",
        "expires_at": LATER,
        **PATH,
    },
    "plan_changed": {"tenant_name": "Acme", "plan": "pro", "limit_bytes": 100 << 30, **PATH},
    "password_changed": {"at": AT, **PATH},
    "new_device": {"device": "Firefox on Linux", "address": "192.0.2.1", "at": AT, **PATH},
    "password_reset": {"minutes": 60, **PATH},
    "task_alarm": {"task": "The nightly recount", "detail": "Press: 3 bytes too many.", "at": AT, **PATH},
}


def words_in(text: str) -> set[str]:
    """Word by word, without what joins them."""
    return {word.rstrip(":/") for word in text.split()} - {"-", "--", "Stowage"}


def words_on(html: str) -> set[str]:
    """What a person reads of a page."""
    return words_in(unescape(re.sub(r"<[^>]+>", " ", html.partition("<body")[2].partition(">")[2])))


def test_every_template_is_tried_here() -> None:
    assert {path.stem for path in FOLDER.glob("[a-z]*.txt")} == set(CONTEXTS)
    assert {path.stem for path in FOLDER.glob("[a-z]*.html")} == set(CONTEXTS)


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_email_says_the_same_twice(in_app: Flask, name: str) -> None:
    words = render(name, addressee=Addressee("Alice", "alice@example.com"), **CONTEXTS[name])
    assert words_on(words.html) == words_in(f"{words.subject}\n{words.text}")
    settings = in_app.extensions["portal.settings"]
    assert f"{settings.base_url}/t/acme/there" in words.text
    assert f'href="{settings.base_url}/t/acme/there"' in words.html


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_email_looks_after_itself(in_app: Flask, name: str) -> None:
    words = render(name, addressee=Addressee("", "alice@example.com"), **CONTEXTS[name])
    assert "\n\n\n" not in words.text
    assert max(map(len, words.text.splitlines())) < 900, "SMTP takes lines of 998 bytes"
    assert "<script" not in words.html and " src=" not in words.html
    assert "None" not in words.text and "{" not in words.text


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_missing_value_is_an_error(in_app: Flask, name: str) -> None:
    with pytest.raises((UndefinedError, TypeError)):  # a plural form refuses what is no number in its own words
        render(name, addressee=Addressee("Alice", "alice@example.com"), path="/")


def test_a_name_of_markup_stays_a_name(in_app: Flask) -> None:
    words = render("infected", addressee=Addressee("Alice", "a@example.com"), **CONTEXTS["infected"])
    assert "in<b>voice.pdf" in words.text
    assert "in&lt;b&gt;voice.pdf" in words.html and "in<b>" not in words.html


def test_a_name_with_line_ends_stays_in_its_line(in_app: Flask) -> None:
    nasty = {**CONTEXTS["infected"], "place": "Press\r\nBcc: everybody@example.com"}
    words = render("infected", addressee=Addressee("Alice", "a@example.com"), **nasty)
    assert words.subject == "Virus found in an upload to Press Bcc: everybody@example.com"
    assert one_line("a\0b\x85c\u2028d") == "a b c d"
