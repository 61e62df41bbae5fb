"""One e-mail to one mail server, in steps whose outcome is known.

The only outcome that leaves room for doubt is a connection lost after the last byte: ``DeliveryUnknown``. Everything
else is known: taken, refused for good, or not sent. The server's own text is shown to nobody, its three digits are.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime, parseaddr
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email

from portal.database import assert_no_transaction
from portal.mail.models import Email
from portal.mail.rendering import one_line
from portal.settings import MailServer, Settings
from portal.texts import Text

STEP_SECONDS = 30  # for the connection and each command
ANSWER_SECONDS = 120  # for the answer to the whole e-mail: servers look for viruses and spam before they take it
UNREACHABLE = Text("The mail server can't be reached.")
BROKE_OFF = Text("The mail server closed the connection.")
DOT = re.compile(rb"^\.", re.MULTILINE)


class NotTaken(Exception):
    """The server surely did not take it; ``reason`` is ours, without the server's own text."""

    def __init__(self, reason: Text) -> None:
        super().__init__(reason.english)
        self.reason = reason


class NotSent(NotTaken):
    """Trying again later may help."""


class Refused(NotTaken):
    """Trying again will not help."""


class DeliveryUnknown(Exception):
    """The server had every byte and did not answer."""


@dataclass(frozen=True)
class Post:
    """An e-mail as it goes over the wire. ``sender`` and ``recipient`` are the envelope's, ``utf8``: needs SMTPUTF8."""

    sender: str
    recipient: str
    content: bytes
    helo: str
    utf8: bool

    @classmethod
    def of(cls, email: Email, settings: Settings) -> Post:
        """Raises ``Refused`` for an address that no mail can be sent to."""
        helo = urlsplit(settings.base_url).hostname or "localhost"
        name, sender = parseaddr((settings.mail and settings.mail.sender) or f"Stowage <stowage@{helo}>")
        recipient, utf8 = _envelope(email.recipient)
        message = EmailMessage(SMTPUTF8 if utf8 else SMTP)
        message["From"] = _shown(name, sender)
        message["To"] = _shown(email.recipient_name, recipient)
        message["Subject"] = one_line(email.subject)
        message["Date"] = format_datetime(email.created_at)
        message["Message-ID"] = f"<{email.id}@{sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(email.text, cte="quoted-printable")
        message.add_alternative(email.html, subtype="html", cte="quoted-printable")
        return cls(sender, recipient, message.as_bytes(), helo, utf8)


def deliver(server: MailServer, post: Post, hand_over: Callable[[], None]) -> None:
    """Hand ``post`` in; it is taken when this returns. ``hand_over`` is called before its bytes go out.

    Raises ``NotSent``, ``Refused``, ``DeliveryUnknown``, and what ``hand_over`` raises.
    """
    assert_no_transaction()
    with _mapped_errors(UNREACHABLE):
        client = _connect(server, post.helo)
    try:
        _introduce(client, server)
        _address(client, post)
        with _mapped_errors(BROKE_OFF):
            _expect(client.docmd("DATA"), 354, _email_refused)
            hand_over()
            client.send(DOT.sub(b"..", post.content) + b".\r\n")
        _read_answer(client)
    finally:
        client.close()  # QUIT would wait for an answer that changes nothing


def _connect(server: MailServer, helo: str) -> smtplib.SMTP:
    if server.security == "tls":
        context = ssl.create_default_context()
        return smtplib.SMTP_SSL(server.host, server.port, helo, timeout=STEP_SECONDS, context=context)
    return smtplib.SMTP(server.host, server.port, helo, timeout=STEP_SECONDS)


def _introduce(client: smtplib.SMTP, server: MailServer) -> None:
    with _mapped_errors(BROKE_OFF):
        client.ehlo_or_helo_if_needed()
        if server.security == "starttls":
            client.starttls(context=ssl.create_default_context())
            client.ehlo()
        if server.user:
            client.login(server.user, server.password or "")


def _address(client: smtplib.SMTP, post: Post) -> None:
    if post.utf8 and not client.has_extn("smtputf8"):
        raise Refused(Text("The mail server takes no addresses with letters beyond ASCII."))
    with _mapped_errors(BROKE_OFF):
        _expect(client.mail(post.sender, ["SMTPUTF8"] if post.utf8 else []), 250, _sender_refused)
        _expect(client.rcpt(post.recipient), 250, _recipient_refused)


def _read_answer(client: smtplib.SMTP) -> None:
    try:
        if client.sock is not None:
            client.sock.settimeout(ANSWER_SECONDS)
        answer = client.getreply()
    except (OSError, smtplib.SMTPException):
        raise DeliveryUnknown from None
    _expect(answer, 250, _email_refused)


def _sender_refused(code: int) -> Text:
    return Text("The mail server refused our sender's address (%(code)s).", code=code)


def _recipient_refused(code: int) -> Text:
    return Text("The mail server refused this address (%(code)s).", code=code)


def _email_refused(code: int) -> Text:
    return Text("The mail server refused the e-mail (%(code)s).", code=code)


def _expect(answer: tuple[int, bytes], wanted: int, refusal: Callable[[int], Text]) -> None:
    # RFC 5321, 4.2.1: 5yz is a permanent failure. Answers that make no sense count as temporary ones.
    code = answer[0]
    if code in (wanted, 251):
        return
    reason = refusal(code)
    raise Refused(reason) if 500 <= code < 600 else NotSent(reason)


@contextmanager
def _mapped_errors(otherwise: Text) -> Iterator[None]:
    try:
        yield
    except smtplib.SMTPAuthenticationError:
        raise NotSent(Text("The mail server does not accept our name and password.")) from None
    except smtplib.SMTPNotSupportedError:
        raise NotSent(Text("The mail server does not offer the encryption or the login that is asked of it.")) from None
    except ssl.SSLError:
        raise NotSent(Text("The mail server's certificate is not valid, or it speaks no TLS here.")) from None
    except smtplib.SMTPResponseException as error:
        raise NotSent(Text("The mail server is not ready (%(code)s).", code=error.smtp_code)) from None
    except (OSError, smtplib.SMTPException):
        raise NotSent(otherwise) from None


def _shown(name: str, address: str) -> Address:
    local, _, domain = address.rpartition("@")
    return Address(one_line(name), local, domain)


def _envelope(email: str) -> tuple[str, bool]:
    """The address as SMTP takes it, and whether that needs SMTPUTF8: foreign hosts have a name in ASCII, people not."""
    try:
        checked = validate_email(email, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        raise Refused(Text("This is not an address that mail can be sent to.")) from None
    return checked.ascii_email or checked.normalized, checked.ascii_email is None
