"""Invitations as the invited person gets them: only the e-mail has the link."""

from __future__ import annotations

import re
from uuid import UUID

import pytest
from sqlalchemy import select

from portal.database import db
from portal.mail.models import Email
from portal.people.jobs import send_invitation
from portal.tasks import Task
from tests.support.people import Cast


class Mailbox:
    """Sends what is due, and reads what was sent."""

    def __init__(self, cast: Cast) -> None:
        self.cast = cast

    def deliver(self) -> int:
        """Run the jobs of invitations that are due; how many."""
        with self.cast.app.app_context():
            due = select(Task).where(Task.kind == "send_invitation", Task.tenant_id == self.cast.acme.id)
            rows = [
                (str(each.tenant_id), str(each.workspace_id), str(each.target_id)) for each in db.session.scalars(due)
            ]
        for row in rows:
            with self.cast.app.app_context():
                send_invitation(*row)
        return len(rows)

    def newest(self, email: str) -> Email:
        """The last e-mail to this address."""
        with self.cast.app.app_context():
            query = select(Email).where(Email.recipient == email).order_by(Email.id.desc()).limit(1)
            found = db.session.scalars(query).one()
            db.session.expunge(found)
            return found

    def link(self, email: str) -> str:
        """The path of the link in the last e-mail to this address."""
        found = re.search(r"/invitations/[\w-]+", self.newest(email).text)
        assert found
        return found[0]

    def invite(self, email: str, role: str = "editor") -> tuple[UUID, str]:
        """Have alice invite somebody to press; the invitation's id and the path of its link."""
        answer = self.cast.alice.api.post(self.cast.url("invitations"), json={"email": email, "role": role})
        assert answer.status_code == 201, answer.text
        self.deliver()
        return UUID(answer.get_json()["invitation_id"]), self.link(answer.get_json()["email"])


@pytest.fixture
def mailbox(cast: Cast) -> Mailbox:
    return Mailbox(cast)
