"""Guessing passwords is slowed down, and nobody can lock anybody else out.

Attempts are counted by account and network, so that an attacker's wrong passwords count against the attacker's network.
When many networks guess at one account, each of them gets few attempts, but it gets some: the right password opens
the account from a new device, too. A browser that has logged in before carries a device cookie and is counted by itself
(OWASP, "Slow down online guessing attacks with device cookies"), whatever happens elsewhere.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable
from typing import Any
from uuid import UUID

from flask import Flask, Response, current_app, request
from itsdangerous import BadSignature, URLSafeTimedSerializer
from prometheus_client import Counter

from portal.errors import Invalid, Unavailable
from portal.identity.service import find_user, normal_email
from portal.web.rate_limits import Rate, address, network_of, rates

log = logging.getLogger(__name__)

ACCOUNT_FROM_NETWORK = Rate("login-account-network", "10 per 5 minutes")
NETWORK = Rate("login-network", "60 per 5 minutes")
DEVICE = Rate("login-device", "10 per 5 minutes")
# Wrong passwords for one account from unknown devices, and what a network has left of that account when there are more.
FAILURES_OF_ACCOUNT = Rate("login-account-failures", "100 per hour")
ACCOUNT_UNDER_ATTACK = Rate("login-account-attacked", "3 per hour")
# Entries in the audit log: those of one account and network, of one account.
ENTRIES_OF_NETWORK = Rate("login-entries-network", "10 per hour")
ENTRIES_OF_ACCOUNT = Rate("login-entries-account", "50 per hour")

COOKIE_DAYS = 365
ACCOUNTS_OF_A_DEVICE = 5  # people who share a browser
LOGINS = Counter("portal_logins", "Attempts to log in by password.", ["outcome", "device"])

FailureRecorder = Callable[[UUID, str, bool], None]


def install(app: Flask, record_failure: FailureRecorder) -> None:
    """``record_failure``: called with person, network and whether the device is known; packages above own the audit."""
    app.extensions["portal.failed_logins"] = record_failure


class LoginAttempt:
    """One attempt with this address, from the device and the network of the request."""

    def __init__(self, email: str) -> None:
        self.email = email
        self.account = _account(email)
        self.network = network_of(address())
        self.device = _devices().get(_fingerprint(self.account))

    def count(self) -> None:
        """Count it before the password is looked at. Raises ``Unavailable`` (429) when there were too many."""
        try:
            if self.device is not None:
                rates().count(DEVICE, self.device)
                return
            rates().count(NETWORK, self.network)
            rates().count(ACCOUNT_FROM_NETWORK, self.account, self.network)
            if rates().is_used_up(FAILURES_OF_ACCOUNT, self.account):
                rates().count(ACCOUNT_UNDER_ATTACK, self.account, self.network)
        except Unavailable:
            self._measure("refused")
            raise

    def succeed(self) -> None:
        """The password was right."""
        self._measure("right")
        if self.device is not None:
            rates().forget(DEVICE, self.device)
        else:
            rates().forget(ACCOUNT_FROM_NETWORK, self.account, self.network)

    def fail(self) -> Callable[[Response], Response]:
        """The password was wrong, or nobody has this address; what is to be done with the answer.

        The entry in the audit log is written after the answer was sent: the time that it takes would tell strangers
        which addresses have an account.
        """
        self._measure("wrong")
        if self.device is None:
            rates().hit(FAILURES_OF_ACCOUNT, self.account)
        app: Flask = current_app._get_current_object()  # type: ignore[attr-defined]

        def after(response: Response) -> Response:
            response.call_on_close(lambda: self._record(app))
            return response

        return after

    def remember_device(self, response: Response) -> Response:
        """Give the browser its device cookie, or renew it."""
        devices = _devices()
        devices.pop(_fingerprint(self.account), None)
        newest = [*devices.items(), (_fingerprint(self.account), self.device or secrets.token_urlsafe(12))]
        response.set_cookie(
            current_app.config["DEVICE_COOKIE_NAME"],
            str(_serializer().dumps(dict(newest[-ACCOUNTS_OF_A_DEVICE:]))),
            max_age=COOKIE_DAYS * 86400,
            secure=current_app.config["SESSION_COOKIE_SECURE"],
            httponly=True,
            samesite="Lax",
        )
        return response

    def _measure(self, outcome: str) -> None:
        LOGINS.labels(outcome, "unknown" if self.device is None else "known").inc()

    def _record(self, app: Flask) -> None:
        with app.app_context():
            # An attacker must not fill the audit log, either.
            if not rates().hit(ENTRIES_OF_NETWORK, self.account, self.network):
                return
            user = find_user(self.email)
            if user is not None and rates().hit(ENTRIES_OF_ACCOUNT, self.account):
                app.extensions["portal.failed_logins"](user.id, self.network, self.device is not None)


def _account(email: str) -> str:
    """One name for every spelling that leads to one account: Unicode can write a domain in many ways."""
    try:
        return normal_email(email)
    except Invalid:
        return email.strip().lower()[:254]


def _fingerprint(account: str) -> str:
    """The cookie names no address: it lies on disks that others read."""
    return hashlib.sha256(account.encode()).hexdigest()[:24]


def _serializer() -> URLSafeTimedSerializer:
    newest, older = current_app.config["SECRET_KEY"], current_app.config["SECRET_KEY_FALLBACKS"]
    return URLSafeTimedSerializer([*reversed(older), newest], salt="device")


def _devices() -> dict[str, str]:
    """What the browser's cookie says: the device's number by account."""
    cookie = request.cookies.get(current_app.config["DEVICE_COOKIE_NAME"], "")
    try:
        found: Any = _serializer().loads(cookie, max_age=COOKIE_DAYS * 86400)
    except BadSignature:
        return {}
    return found if isinstance(found, dict) else {}
