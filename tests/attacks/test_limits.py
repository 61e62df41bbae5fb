"""Whatever keeps a worker, the scanner or the database busy can be asked for so often, and no oftener."""

from __future__ import annotations

from uuid import uuid4

import pytest
from sqlalchemy import update

from portal.database import db, transaction
from portal.identity.models import User
from portal.quarantine import decisions
from portal.web.rate_limits import Rate
from tests.support.people import Cast
from tests.support.quarantine import decide, quarantined


@pytest.mark.parametrize("act", ["resume", "retry", "rollback"])
def test_moves_are_not_set_going_without_end(cast: Cast, act: str) -> None:
    move = uuid4()
    codes = [cast.alice.api.post(cast.url(f"storage-moves/{move}/{act}")).status_code for _ in range(61)]
    assert set(codes[:60]) == {404} and codes[60] == 429
    assert cast.alice.api.post(cast.url(f"storage-moves/{move}/pause")).status_code == 404  # a brake is never refused


def test_a_refusal_says_when_to_come_back(cast: Cast) -> None:
    refused = [cast.alice.api.post(cast.url(f"storage-moves/{uuid4()}/retry")) for _ in range(61)][-1]
    assert refused.get_json()["code"] == "rate_limited"
    assert 0 < int(refused.headers["Retry-After"]) <= 3600


def test_tokens_are_not_made_without_end(cast: Cast) -> None:
    made = [
        cast.alice.browser.post("/account/tokens", data={"name": "x", "scopes": "read"}).status_code for _ in range(31)
    ]
    assert made == [201] * 30 + [429]


@pytest.mark.parametrize("page", ["audit.csv", "quotas/report.csv"])
def test_spreadsheets_are_not_asked_for_without_end(cast: Cast, page: str) -> None:
    address = f"/t/{cast.acme.slug}/{page}"
    codes = [cast.tina.browser.get(address).status_code for _ in range(61)]
    assert codes == [200] * 60 + [429]


def test_heavy_acts_of_operators_are_counted_together(cast: Cast) -> None:
    with cast.app.app_context(), transaction():
        db.session.execute(update(User).where(User.id == cast.tina.id).values(is_operator=True))
    asked = [cast.tina.browser.post("/operator/periodic-tasks", data={"name": "none"}).status_code for _ in range(60)]
    assert set(asked) == {303}
    assert cast.tina.browser.post("/operator/scanner/test").status_code == 429
    assert cast.tina.browser.post("/operator/scanner/rescan").status_code == 429


def test_held_files_are_not_scanned_again_without_end(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decisions, "RESCANS", Rate(f"rescan-{uuid4()}", "2 per hour"))
    codes = [decide(cast, cast.tina.api, quarantined(cast), "rescan").status_code for _ in range(3)]
    assert codes == [200, 200, 429]
