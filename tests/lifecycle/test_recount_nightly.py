"""The nightly recount: equal, or an alarm."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from portal.audit import AuditEvent
from portal.database import db, enter, transaction
from portal.errors import Problem
from portal.events.models import Event
from portal.identity.models import User
from portal.lifecycle.recount import recount, recount_all
from portal.mail.models import Email
from tests.support.factories import make_asset
from tests.support.people import Cast


def test_a_difference_raises_an_alarm_with_the_difference(cast: Cast) -> None:
    make_asset(cast)
    with cast.app.app_context():
        with transaction() as session:
            session.get_one(User, cast.bob.id).is_operator = True
        with transaction(cast.acme.id) as session:
            session.execute(text("UPDATE workspace_quotas SET used_bytes = used_bytes + 7"))
        for _ in range(2):
            with pytest.raises(Problem, match=rf"{cast.acme.slug}: workspace press .*\(\+7\)"):
                recount_all()
        enter(cast.acme.id)
        event = db.session.scalars(select(AuditEvent).filter_by(action="quota.miscounted")).first()
        assert event is not None and "(+7)" in event.facts["differences"][0]
        assert db.session.scalars(select(Event).filter_by(type="quota.miscounted")).first() is not None
        letters = db.session.scalars(select(Email).filter_by(template="task_alarm", recipient=cast.bob.email)).all()
        ours = [letter for letter in letters if cast.acme.slug in letter.text]
        assert len(ours) == 1  # a night, and not each time that somebody asks
        assert "(+7)" in ours[0].text
        with transaction(cast.acme.id) as session:
            session.execute(text("UPDATE workspace_quotas SET used_bytes = used_bytes - 7"))
        enter(cast.acme.id)
        assert recount(cast.acme.id) == []
