"""Nothing leaks: whoever dies, the room that was promised is back within an hour of the promise's end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import update

from portal.database import enter, now, transaction
from portal.lifecycle import sweep
from portal.lifecycle.doctor import RESERVATION_GRACE
from portal.lifecycle.recount import recount
from portal.tasks.models import Task
from portal.uploads.models import Upload
from tests.support.people import Cast


@pytest.mark.parametrize("resumable", [False, True])
def test_what_a_client_that_died_had_reserved_is_back_at_the_next_pass(cast: Cast, resumable: bool) -> None:
    spec = {"file_name": "sea.jpg", "mime_type": "image/jpeg", "size_bytes": 1000}
    begun = cast.bob.api.post(cast.url("uploads"), json=spec)
    assert begun.status_code == 201, begun.text
    assert cast.bob.api.get(cast.url("quota")).get_json()["reserved_bytes"] == 1000
    over = now() - timedelta(seconds=1)
    with cast.app.app_context():
        with transaction(cast.acme.id) as session:
            state = {"state": "uploading"} if resumable else {}
            session.execute(update(Upload).values(expires_at=over, **state))
            session.execute(update(Task).where(Task.tenant_id == cast.acme.id).values(due_at=over))
        assert timedelta(seconds=10) < RESERVATION_GRACE  # the scheduler passes every ten seconds
        sweep.run()
        enter(cast.acme.id)
        assert recount(cast.acme.id) == []
    assert cast.bob.api.get(cast.url("quota")).get_json()["reserved_bytes"] == 0
