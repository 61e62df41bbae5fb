"""E-mails to admins: about a virus at once, and a daily summary of what waits for a decision."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import select

from portal.database import db, now
from portal.mail.models import Email
from portal.quarantine import daily_summary
from tests.support.client import Scene
from tests.support.engines import EICAR, SIGNATURE
from tests.support.factories import change_asset, schedule
from tests.support.people import Cast
from tests.support.quarantine import infected, quarantined, run_job


def emails(cast: Cast, template: str) -> list[Email]:
    """To tina, the newest last."""
    with cast.app.app_context():
        wanted = select(Email).where(Email.recipient == cast.tina.email, Email.template == template)
        found = list(db.session.scalars(wanted.order_by(Email.id)))
        db.session.expunge_all()
        return found


def recipients(cast: Cast) -> set[str]:
    with cast.app.app_context():
        return set(db.session.scalars(select(Email.recipient)))


def test_an_infected_upload_is_reported_to_the_admins_and_to_nobody_else(scene: Scene) -> None:
    sent = scene.bob.upload("invoice.txt", EICAR)
    scene.site.run_jobs()
    (email,) = emails(scene.cast, "infected")
    assert "Press" in email.subject
    text = f"{email.text}{email.html}"
    for part in ("invoice.txt", SIGNATURE, "Bob", f"/t/{scene.cast.acme.slug}/quarantine"):
        assert part in text or email.text == "", part
    assert not recipients(scene.cast) & {scene.cast.bob.email, scene.cast.alice.email, scene.cast.mallory.email}
    assert scene.site.sql(
        "SELECT count(*) FROM events WHERE type = 'asset.quarantined' AND data->>'asset_id' = %s", sent.asset_id
    ) == [(1,)]


def test_a_second_scan_that_finds_a_virus_is_reported_once(cast: Cast) -> None:
    asset_id: UUID = quarantined(cast, EICAR, quarantine_order="rescan", ordered_by=cast.tina.id)
    run_job(cast, "rescan", asset_id)
    assert len(emails(cast, "infected")) == 1
    change_asset(cast, asset_id, quarantine_order="rescan")
    schedule(cast, "rescan_quarantined", asset_id)
    run_job(cast, "rescan", asset_id)
    assert len(emails(cast, "infected")) == 1


def test_the_summary_is_sent_once_a_day_while_something_waits(cast: Cast) -> None:
    infected(cast, file_name="one.txt")
    old = quarantined(cast, b"other", file_name="two.txt")
    change_asset(cast, old, quarantined_at=now() - timedelta(days=6), purge_after=now() + timedelta(days=1))
    with cast.app.app_context():
        assert "E-mails about quarantined files" in daily_summary.run().english
        daily_summary.run()
    (email,) = emails(cast, "quarantine_digest")
    assert "2 files are in quarantine" in email.subject


def test_without_quarantined_files_no_summary_is_sent(cast: Cast) -> None:
    leaving = quarantined(cast)
    change_asset(cast, leaving, purge_after=now() - timedelta(seconds=1))
    with cast.app.app_context():
        daily_summary.run()
    assert emails(cast, "quarantine_digest") == []
