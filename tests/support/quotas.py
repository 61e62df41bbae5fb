"""Tenants and workspaces with counters, and what the database says of them; no tests here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from sqlalchemy import select, text

from portal.database import db, enter, new_id, transaction
from portal.quotas import service as quotas
from portal.quotas.models import LedgerEntry, TenantQuota, WorkspaceQuota
from portal.tenancy.models import Tenant, Workspace


@dataclass(frozen=True)
class Place:
    """A tenant and its workspaces."""

    tenant: UUID
    workspaces: tuple[UUID, ...]

    @property
    def workspace(self) -> UUID:
        """The first one."""
        return self.workspaces[0]

    def counters(self, workspace: UUID | None = None) -> tuple[int, int]:
        """(used, reserved) of a workspace, the first when none is named."""
        row = self._row(WorkspaceQuota, workspace or self.workspace)
        return row.used_bytes, row.reserved_bytes

    def tenant_counters(self) -> tuple[int, int]:
        """(used, reserved) of the tenant."""
        row = self._row(TenantQuota, self.tenant)
        return row.used_bytes, row.reserved_bytes

    def ledger(self) -> list[tuple[str, int, int]]:
        """(entry, used, reserved) of each movement, oldest first."""
        enter(self.tenant)
        rows = db.session.scalars(select(LedgerEntry).order_by(LedgerEntry.id))
        return [(str(row.entry), row.used_delta, row.reserved_delta) for row in rows]

    def reserve(self, size: int, workspace: UUID | None = None) -> UUID:
        """A reservation in a transaction of its own; gives its subject."""
        subject = new_id()
        with transaction(self.tenant):
            quotas.reserve(self.tenant, workspace or self.workspace, subject, size)
        return subject

    def hold(self, size: int, workspace: UUID | None = None) -> UUID:
        """Bytes that are here for good."""
        subject = self.reserve(size, workspace)
        with transaction(self.tenant):
            quotas.settle(self.tenant, workspace or self.workspace, subject, size)
        return subject

    def change(self, statement: str, **values: Any) -> None:
        """Any statement in this tenant."""
        with transaction(self.tenant) as session:
            session.execute(text(statement), {"tenant": self.tenant, "workspace": self.workspace, **values})

    def _row(self, model: Any, key: UUID) -> Any:
        enter(self.tenant)
        row = db.session.get(model, key, populate_existing=True)
        assert row is not None
        db.session.commit()
        return row


def open_place(*limits: int | None, tenant_limit: int | None = None) -> Place:
    """A tenant with one workspace for each limit."""
    tenant = new_id()
    workspaces = tuple(new_id() for _ in limits or (None,))
    with transaction(tenant) as session:
        session.add(Tenant(id=tenant, slug=f"t-{tenant.hex[-12:]}", name="Tenant", plan="pro"))
        session.flush()
        quotas.open_tenant(tenant, tenant_limit)
        for number, (workspace, limit) in enumerate(zip(workspaces, limits or (None,), strict=True)):
            session.add(Workspace(id=workspace, tenant_id=tenant, slug=f"w{number}", name="Workspace"))
            session.flush()
            quotas.open_workspace(tenant, workspace, limit)
    return Place(tenant, workspaces)


def at_once(app: Flask, clients: int, act: Callable[[int], Any]) -> list[Any]:
    """``act(number)`` from many clients at the same moment, each with a connection of its own."""
    start = threading.Barrier(clients)

    def run(number: int) -> Any:
        with app.app_context():
            try:
                db.session.connection()  # connecting takes longer than the race
            except BaseException:
                start.abort()  # who can't take part must not keep the others waiting for ever
                raise
            start.wait()
            return act(number)

    with ThreadPoolExecutor(clients) as pool:
        return list(pool.map(run, range(clients)))
