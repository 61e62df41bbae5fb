"""A mail server for the tests: aiosmtpd in a thread, on a free port of loopback. It answers as it is told to.

with MailBox() as box:
    box.answers["DATA"] = "451 Not now"      # EHLO, MAIL, RCPT or DATA (after the last byte)
    box.breaks_off = "before" | "after"      # the connection ends before or after the letter is kept
    box.letters                              # what it has taken, parsed
"""

from __future__ import annotations

import asyncio
import ssl
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP as WIRE
from threading import Event
from types import TracebackType
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from portal.embedded.ports import choose


class MailBox:
    """Everything that it took is in ``letters``; ``raw`` are the bytes as they came."""

    def __init__(self, *, login: tuple[str, str] | None = None, tls: ssl.SSLContext | None = None) -> None:
        self.answers: dict[str, str] = {}
        self.breaks_off: str | None = None
        self.letters: list[EmailMessage] = []
        self.raw: list[bytes] = []
        self.envelopes: list[tuple[str, list[str]]] = []
        self.sessions: list[bool] = []  # of each letter: was it encrypted?
        self.arrived, self.goes_on = Event(), Event()
        self.goes_on.set()
        self.port = choose(set())
        options: dict[str, Any] = {"tls_context": tls, "require_starttls": tls is not None, "enable_SMTPUTF8": True}
        if login:
            options |= {"auth_required": True, "authenticator": _knows(login), "auth_require_tls": tls is not None}
        self._controller = Controller(self, "127.0.0.1", self.port, decode_data=False, **options)

    def __enter__(self) -> MailBox:
        self._controller.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.goes_on.set()
        self._controller.stop()

    async def handle_MAIL(self, _server: SMTP, _session: Any, envelope: Any, address: str, options: list[str]) -> str:  # noqa: N802
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.answers.get("MAIL", "250 OK")

    async def handle_RCPT(self, _server: SMTP, _session: Any, envelope: Any, address: str, _options: list[str]) -> str:  # noqa: N802
        if "RCPT" in self.answers:
            return self.answers["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        self.arrived.set()
        while not self.goes_on.is_set():
            await asyncio.sleep(0.01)
        if self.breaks_off != "before" and "DATA" not in self.answers:
            self.raw.append(envelope.content)
            self.letters.append(BytesParser(policy=WIRE).parsebytes(envelope.content))
            self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
            self.sessions.append(session.ssl is not None)
        if self.breaks_off:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return self.answers.get("DATA", "250 OK")


def _knows(login: tuple[str, str]) -> Any:
    def authenticate(_server: SMTP, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        right = isinstance(data, LoginPassword) and (data.login.decode(), data.password.decode()) == login
        return AuthResult(success=right, handled=False)

    return authenticate
