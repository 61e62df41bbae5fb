"""Leases on asset rows: one worker at a time, a dead worker's row free again after a minute.

A claim is one conditional UPDATE: did a row change? The holder renews it from a thread while it works. What it found
is written only by a compare-and-set on its own token, so a holder that lost its lease changes nothing.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from sqlalchemy import ColumnElement, CursorResult, func, or_, select, text, update
from sqlalchemy.exc import SQLAlchemyError

from portal.assets.models import Asset
from portal.database import db, transaction
from portal.errors import Unavailable
from portal.storage import health

log = logging.getLogger(__name__)

LEASE = timedelta(seconds=60)
RENEW_SECONDS = 20
MOST_ATTEMPTS = 5
AWAY = timedelta(seconds=15)  # until the next look at a part that was away


class Lease:
    """The right to write one asset's outcome, as long as ``mine`` holds in the database."""

    def __init__(self, tenant_id: UUID, asset_id: UUID) -> None:
        self.tenant_id = tenant_id
        self.asset_id = asset_id
        self.token = secrets.token_hex(8)
        self._engine = db.engine  # found here, inside the application: the thread that renews is outside of it

    @property
    def mine(self) -> list[ColumnElement[bool]]:
        """Conditions for a compare-and-set by the holder."""
        return [Asset.id == self.asset_id, Asset.claim_token == self.token]

    def renew(self) -> bool:
        """Another minute; False when somebody else has the row by now."""
        with self._engine.begin() as connection:
            connection.execute(text("SELECT set_config('app.tenant_id', :t, true)"), {"t": str(self.tenant_id)})
            result = connection.execute(update(Asset).where(*self.mine).values(claim_until=func.now() + LEASE))
        return bool(cast(CursorResult[Any], result).rowcount)


@contextmanager
def hold(tenant_id: UUID, asset_id: UUID, *conditions: ColumnElement[bool]) -> Iterator[Lease | None]:
    """Claim an asset that meets ``conditions`` and keep the claim renewed; None when there is nothing to claim.

    ``Unavailable`` inside puts the row back without burning an attempt (unless this file killed the scanner); any
    other exception burns one and goes on up.
    """
    with _kept(Lease(tenant_id, asset_id), conditions, attempts=1) as lease:
        try:
            yield lease
        except Unavailable as problem:
            if lease is None:
                raise
            log.info("asset %s waits: %s", asset_id, problem.code)
            profile_id = db.session.scalar(select(Asset.profile_id).where(*lease.mine))
            if profile_id is not None:
                health.suspect(tenant_id, profile_id, problem)
            # A scanner that died with this file in its hands may die of it again: that attempt counts.
            refund = 0 if problem.facts.get("during") == "scan" else 1
            _put_back(lease, AWAY, waiting_for=problem.code, attempts=func.greatest(Asset.attempts - refund, 0))
        except Exception:
            if lease:
                _put_back(lease, LEASE, waiting_for=None)
            raise


@contextmanager
def borrow(tenant_id: UUID, asset_id: UUID, *conditions: ColumnElement[bool]) -> Iterator[Lease | None]:
    """Keep every other worker from an asset meanwhile; None when there is nothing to claim.

    What it waits for, when, and how often that was tried stays as it is, whatever happens inside.
    """
    with _kept(Lease(tenant_id, asset_id), conditions, attempts=0) as lease:
        try:
            yield lease
        finally:
            if lease:
                with transaction(tenant_id):
                    db.session.execute(update(Asset).where(*lease.mine).values(claim_token=None, claim_until=None))


@contextmanager
def _kept(lease: Lease, conditions: tuple[ColumnElement[bool], ...], *, attempts: int) -> Iterator[Lease | None]:
    """Claim the row and renew the claim until the end; None when there is nothing to claim."""
    if not _claim(lease, conditions, attempts):
        yield None
        return
    done = threading.Event()
    renewal = threading.Thread(target=_keep, args=(lease, done), name=f"lease-{lease.token}", daemon=True)
    renewal.start()
    try:
        yield lease
    finally:
        done.set()
        renewal.join()


def exhausted(asset: Asset) -> bool:
    """Whether this asset has had every attempt it gets (the present one is counted)."""
    return asset.attempts > MOST_ATTEMPTS


def settle(**values: Any) -> dict[str, Any]:
    """The values of a final write: the claim ends with it."""
    return {"claim_token": None, "claim_until": None, "waiting_for": None, "attempts": 0, "due_at": None, **values}


def postpone(tenant_id: UUID, asset_id: UUID, delay: timedelta) -> None:
    """The sweep rings now: don't ring again before ``delay`` is over."""
    with transaction(tenant_id):
        db.session.execute(update(Asset).where(Asset.id == asset_id).values(due_at=func.now() + delay))


def _claim(lease: Lease, conditions: tuple[ColumnElement[bool], ...], attempts: int) -> bool:
    free = or_(Asset.claim_until.is_(None), Asset.claim_until < func.now())
    with transaction(lease.tenant_id):
        statement = update(Asset).where(Asset.id == lease.asset_id, free, *conditions)
        values = {"claim_token": lease.token, "claim_until": func.now() + LEASE, "attempts": Asset.attempts + attempts}
        result = db.session.execute(statement.values(values).execution_options(synchronize_session=False))
    return bool(cast(CursorResult[Any], result).rowcount)


def _put_back(lease: Lease, delay: timedelta, **values: Any) -> None:
    with transaction(lease.tenant_id):
        statement = update(Asset).where(*lease.mine)
        back = {"claim_token": None, "claim_until": None, "due_at": func.now() + delay, **values}
        db.session.execute(statement.values(back).execution_options(synchronize_session=False))


def _keep(lease: Lease, done: threading.Event) -> None:
    while not done.wait(RENEW_SECONDS):
        try:
            if not lease.renew():
                return
        except SQLAlchemyError as error:
            log.warning("lease of asset %s could not be renewed: %s", lease.asset_id, type(error).__name__)
