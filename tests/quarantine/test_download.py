"""The only download of a quarantined file: an encrypted zip, for an admin who has just given their password."""

from __future__ import annotations

import datetime
import re
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select
from stream_unzip import UnzipError, stream_unzip
from werkzeug.test import TestResponse

from portal.audit import AuditEvent
from portal.database import db, enter
from portal.objectstore import keys
from portal.storage import service as storage
from tests.support.engines import EICAR
from tests.support.people import PASSWORD, Actor, Browser, Cast
from tests.support.quarantine import WHY, decided, infected, make_admin, quarantined


def unlock(cast: Cast, actor: Actor, asset_id: object, password: str = PASSWORD, reason: str = WHY) -> tuple[int, str]:
    url = f"/t/{cast.acme.slug}/quarantine/{asset_id}/unlock"
    answer = actor.browser.post(url, data={"password": password, "reason": reason})
    return answer.status_code, answer.text


def parts(shown: str) -> tuple[str, str]:
    """The zip's password and the token."""
    password = re.search(r'font-monospace" readonly value="([a-z2-7]{24})"', shown)
    token = re.search(r'name="token" value="([^"]+)"', shown)
    assert password and token, shown
    return password[1], token[1]


def fetch(cast: Cast, actor: Actor, asset_id: object, token: str) -> TestResponse:
    return actor.browser.post(f"/t/{cast.acme.slug}/quarantine/{asset_id}/download", data={"token": token})


def test_it_is_an_aes_zip_that_only_the_shown_password_opens(cast: Cast) -> None:
    asset_id = infected(cast, EICAR)
    status, shown = unlock(cast, cast.tina, asset_id)
    assert status == 200
    password, token = parts(shown)
    answer = fetch(cast, cast.tina, asset_id, token)
    assert (answer.status_code, answer.mimetype) == (200, "application/zip")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Cache-Control"] == "no-store"
    assert EICAR not in answer.data
    opened = [
        (name, b"".join(chunks)) for name, _size, chunks in stream_unzip([answer.data], password=password.encode())
    ]
    assert opened == [(b"invoice.txt", EICAR)]
    with pytest.raises(UnzipError):
        for _name, _size, each in stream_unzip([answer.data], password=b"another"):
            list(each)
    assert decided(cast, asset_id) == ["download"]
    with cast.app.app_context():
        enter(cast.acme.id)
        (event,) = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "quarantine.downloaded"))
    assert (event.actor_id, event.target_id) == (cast.tina.id, asset_id)
    assert password not in str(event.facts)


def test_without_the_right_password_or_a_reason_there_is_no_token(cast: Cast) -> None:
    asset_id = quarantined(cast)
    assert unlock(cast, cast.tina, asset_id, "wrong")[0] == 422
    assert unlock(cast, cast.tina, asset_id, "")[0] == 422
    status, shown = unlock(cast, cast.tina, asset_id, reason="")
    assert status == 422 and "Give a reason" in shown
    assert decided(cast, asset_id) == []


def test_passwords_can_not_be_guessed_here(cast: Cast) -> None:
    asset_id = quarantined(cast)
    codes = [unlock(cast, cast.tina, asset_id, f"wrong {number}")[0] for number in range(11)]
    assert codes == [422] * 10 + [429]


def test_a_token_works_for_one_person_and_one_file(cast: Cast) -> None:
    first, second = quarantined(cast), quarantined(cast)
    other = make_admin(cast, cast.bob)
    for actor, asset_id in ((other, first), (cast.tina, second)):
        _password, token = parts(unlock(cast, cast.tina, first)[1])
        assert fetch(cast, actor, asset_id, token).status_code == 409
        assert fetch(cast, cast.tina, first, token).status_code == 409  # any attempt uses it up
    assert fetch(cast, cast.tina, first, "forged").status_code == 409
    _password, token = parts(unlock(cast, cast.tina, first)[1])
    assert fetch(cast, cast.mallory, first, token).status_code == 404


def test_a_token_works_once(cast: Cast) -> None:
    asset_id = quarantined(cast)
    _password, token = parts(unlock(cast, cast.tina, asset_id)[1])
    tina = cast.tina.browser  # made before the threads
    url = f"/t/{cast.acme.slug}/quarantine/{asset_id}/download"

    def take(_number: int) -> int:
        browser = Browser(cast.app)
        browser._cookies, browser.fixed = tina._cookies, tina.fixed
        return browser.post(url, data={"token": token}).status_code

    with ThreadPoolExecutor(8) as threads:
        codes = sorted(threads.map(take, range(8)))
    assert codes == [200] + [409] * 7


def test_a_token_works_only_in_the_session_that_got_it(cast: Cast) -> None:
    asset_id = quarantined(cast)
    _password, token = parts(unlock(cast, cast.tina, asset_id)[1])
    url = f"/t/{cast.acme.slug}/quarantine/{asset_id}/download"
    assert cast.tina.another_browser().post(url, data={"token": token}).status_code == 409


def test_a_token_that_valkey_has_lost_is_refused_and_can_be_issued_again(cast: Cast) -> None:
    asset_id = quarantined(cast)
    _password, token = parts(unlock(cast, cast.tina, asset_id)[1])
    valkey = cast.app.extensions["portal.redis"]
    valkey.delete(*valkey.keys("stowage:download-token:*"))
    assert fetch(cast, cast.tina, asset_id, token).status_code == 409
    _password, token = parts(unlock(cast, cast.tina, asset_id)[1])
    assert fetch(cast, cast.tina, asset_id, token).status_code == 200


def test_memory_stays_flat_while_the_zip_is_sent(cast: Cast) -> None:
    import os

    asset_id = quarantined(cast, os.urandom(1024) * 24 * 1024, "large.txt")
    _password, token = parts(unlock(cast, cast.tina, asset_id)[1])
    url = f"/t/{cast.acme.slug}/quarantine/{asset_id}/download"
    fetch(cast, cast.tina, quarantined(cast), "warm")
    answer = cast.tina.browser.post(url, data={"token": token}, buffered=False)
    tracemalloc.start()
    size = sum(len(chunk) for chunk in answer.response)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    answer.close()
    assert size > 1024
    assert peak < 8 * 1024 * 1024, peak


def test_no_url_is_ever_presigned_for_a_quarantined_object(cast: Cast) -> None:
    asset_id = quarantined(cast)
    key = keys.quarantine(cast.press.id, asset_id, "invoice.txt")
    with cast.app.app_context():
        bucket = storage.managed_bucket()
        with pytest.raises(ValueError, match="quarantine"):
            bucket.presign_get(key, disposition="attachment", expires_in=60)
        with pytest.raises(ValueError, match="quarantine"):
            at = datetime.datetime.now(datetime.UTC)
            bucket.presign_get(key, disposition="attachment", expires_in=60, now=at)
        with pytest.raises(ValueError, match="quarantine"):
            bucket.presign_put(key, content_type="text/plain", size=1, expires_in=60)
        with pytest.raises(ValueError, match="quarantine"):
            bucket.presign_post(key, content_type="text/plain", size=1, expires_in=60)
