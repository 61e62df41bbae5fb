"""A portal with a mail server of its own: a real one, on loopback, that can be told to misbehave."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from portal.app import create_app
from portal.database import db, transaction
from portal.mail import service as mail
from portal.mail.models import Email
from portal.mail.service import Addressee
from portal.settings import MailServer
from tests.support.engines import TestEngines
from tests.support.mail_server import MailBox
from tests.support.people import Cast, make_cast
from tests.support.processes import close

ALARM = {"task": "The recount", "detail": "Three bytes too many.\n.\n..and a dot.", "path": "/operations"}


@dataclass
class Post:
    """An application that sends its mail to ``box``."""

    app: Flask
    box: MailBox
    cast: Cast

    def enqueue(
        self, to: str = "alice@example.com", name: str = "Alice", deduplication_key: str | None = None
    ) -> UUID | None:
        """One email in a transaction of its own, or None when it was written before."""
        with self.app.app_context():
            with transaction(self.cast.acme.id):
                facts = {**ALARM, "at": self.cast.acme.created_at}
                mail.enqueue(
                    "task_alarm", [Addressee(name, to)], self.cast.acme.id, deduplication_key=deduplication_key, **facts
                )
            newest = select(Email).where(Email.recipient == to).order_by(Email.id.desc()).limit(1)
            found = db.session.scalar(newest)
            return found.id if found else None

    def send(self, email_id: UUID | None) -> Email:
        """What the job does; the email as it is then."""
        assert email_id is not None
        with self.app.app_context():
            mail.send(email_id)
        return self.read(email_id)

    def read(self, email_id: UUID | None) -> Email:
        """The row as it is now."""
        assert email_id is not None
        with self.app.app_context():
            email = db.session.get_one(Email, email_id)
            db.session.expunge_all()
            return email

    def change(self, email_id: UUID | None, assignments: str) -> None:
        """Write columns behind the service's back."""
        with self.app.app_context(), transaction() as session:
            from sqlalchemy import text

            session.execute(text(f"UPDATE emails SET {assignments} WHERE id = :id"), {"id": email_id})

    def change_task(self, email_id: UUID | None, assignments: str) -> None:
        """The same with its task."""
        with self.app.app_context(), transaction() as session:
            from sqlalchemy import text

            session.execute(text(f"UPDATE tasks SET {assignments} WHERE target_id = :id"), {"id": email_id})

    def next_attempt(self, email_id: UUID | None) -> datetime:
        """When it is tried again."""
        assert email_id is not None
        with self.app.app_context():
            due_at = mail.next_attempt(email_id)
        assert due_at is not None
        return due_at


@pytest.fixture
def box() -> Iterator[MailBox]:
    """A mail server that takes everything."""
    with MailBox() as running:
        yield running


@pytest.fixture
def post(engines: TestEngines, box: MailBox) -> Iterator[Post]:
    """A portal whose mail goes to ``box``."""
    server = MailServer("127.0.0.1", box.port, None, sender="Stowage <files@example.com>")
    app = create_app(replace(engines.settings(), mail=server))
    yield Post(app, box, make_cast(app))
    close(app)
