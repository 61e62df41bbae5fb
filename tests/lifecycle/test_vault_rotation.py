"""A vault key is replaced while everything runs: what was sealed opens before, meanwhile and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask import Flask

from portal.database import db, enter
from portal.errors import Unavailable
from portal.lifecycle import vault_rotation
from portal.storage import service as storage
from tests.support.engines import CANARY
from tests.support.own_buckets import connect_own_bucket
from tests.support.people import Cast

NEWER = "a newer vault key of thirty-two characters or more"


@pytest.fixture
def keys(app: Flask) -> Iterator[list[str]]:
    """The vault keys of the application, newest first; what a test leaves there is put back, and sealed with again."""
    before = app.extensions["portal.settings"]
    known = list(before.vault_keys)
    yield known
    with app.app_context():
        app.extensions["portal.settings"] = replace(before, vault_keys=(*before.vault_keys, NEWER))
        vault_rotation.rotate()
    app.extensions["portal.settings"] = before


def with_keys(app: Flask, *keys: str) -> None:
    """As if the deployment had been started with these."""
    app.extensions["portal.settings"] = replace(app.extensions["portal.settings"], vault_keys=keys)


def opened(cast: Cast, *profiles_: object) -> list[str]:
    """The secrets of these profiles, as they open now."""
    with cast.app.app_context():
        enter(cast.press.tenant_id)
        found = [storage.find_profile(cast.press.id, profile.id) for profile in profiles_]  # type: ignore[attr-defined]
        for profile in found:
            db.session.refresh(profile)
        return [storage.bucket_for(profile).location.secret_access_key for profile in found]


def test_all_secrets_are_sealed_with_the_newest_key_and_the_old_one_can_be_removed(cast: Cast, keys: list[str]) -> None:
    first, second = (connect_own_bucket(cast, activate=False) for _ in range(2))
    with_keys(cast.app, NEWER, *keys)
    assert opened(cast, first, second) == [CANARY, CANARY]
    with cast.app.app_context():
        done = vault_rotation.rotate()
        assert done.rewrapped >= 2  # of other tests, too, some of which have left one that nothing opens
        again = vault_rotation.rotate()
        assert (again.rewrapped, again.current) == (0, done.rewrapped + done.current)
    assert opened(cast, first, second) == [CANARY, CANARY]
    with_keys(cast.app, NEWER)
    assert opened(cast, first, second) == [CANARY, CANARY]
    with_keys(cast.app, *keys)
    with pytest.raises(Unavailable, match="can't be decrypted"):
        opened(cast, first)


def test_a_secret_that_no_key_opens_is_counted_and_left_as_it_is(cast: Cast, keys: list[str]) -> None:
    profile = connect_own_bucket(cast, activate=False)
    with_keys(cast.app, NEWER)
    with cast.app.app_context():
        assert vault_rotation.rotate().closed >= 1
    with_keys(cast.app, *keys)
    assert opened(cast, profile) == [CANARY]
