"""All of Stowage as processes, its store and its scanner behind proxies that can misbehave; for journeys and faults.

One a run (``live`` in ``tests/conftest.py``). When it ends, nothing may be broken in any tenant that the tests made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import select

from portal.database import db, transaction
from portal.lifecycle import doctor, sweep
from portal.objectstore import keys
from portal.storage.service import managed_bucket
from portal.tenancy.models import Tenant
from tests.support.api_client import ApiClient, Sent
from tests.support.clamd_daemons import Daemon
from tests.support.client import LATER
from tests.support.engines import TestEngines
from tests.support.people import Actor, Cast, make_cast
from tests.support.processes import Stack, own_settings
from tests.support.stores.unruly import Unruly
from tests.support.tcp_proxy import TcpProxy


@dataclass
class Live:
    """The running processes, and what a test can do to them."""

    stack: Stack
    store: Unruly
    scanner_proxy: TcpProxy
    _clients: list[ApiClient] = field(default_factory=list)

    def cast(self) -> Cast:
        """New people."""
        return make_cast(self.stack.app)

    def client(self, cast: Cast, actor: Actor) -> ApiClient:
        """Somebody's client at ``press``, until the test ends."""
        self._clients.append(ApiClient(self.stack.settings.base_url, actor.token, cast.press.id))
        return self._clients[-1]

    def sweep(self) -> dict[str, int]:
        """One pass now, whatever the scheduler does."""
        with self.stack.app.app_context():
            return dict(sweep.run())

    def expire_leases(self) -> None:
        """Let a minute pass: the leases of dead workers end, and what waits is due."""
        past = "now() - interval '1 second'"
        self.stack.sql(f"UPDATE tasks SET lease_until = {past} WHERE lease_until IS NOT NULL AND kind <> 'scheduler'")
        again = f"(kind NOT IN {LATER} OR waiting_for IS NOT NULL OR attempts > 0)"
        self.stack.sql(f"UPDATE tasks SET due_at = {past} WHERE due_at IS NOT NULL AND {again}")

    def forms_run_out(self) -> None:
        """Let every form expire, and the workers clear the staging keys."""
        past = "now() - interval '10 minutes'"
        self.stack.sql(f"UPDATE uploads SET expires_at = {past}, form_expires_at = {past} WHERE cleared_at IS NULL")
        self.stack.sql("UPDATE tasks SET due_at = now() WHERE kind IN ('expire', 'clear_staging')")
        eventually(self._cleared)

    def _cleared(self) -> bool:
        self.sweep()
        left = self.stack.sql("SELECT count(*) FROM uploads WHERE cleared_at IS NULL AND state <> 'verifying'")[0][0]
        if left:  # a worker may hold the asset: it is asked for again, here without the usual pause
            time.sleep(0.5)
            self.stack.sql("UPDATE tasks SET due_at = now() WHERE kind = 'clear_staging' AND due_at > now()")
        return not left

    def objects(self, cast: Cast) -> set[str]:
        """Every object of ``press``."""
        with self.stack.app.app_context():
            return {key for key, _, _ in managed_bucket().list(keys.workspace_prefix(cast.press.id))}

    def expected_objects(self, cast: Cast) -> set[str]:
        """Every object that a row of ``press`` names."""
        originals = "SELECT object_key FROM assets WHERE workspace_id = %s AND object_key IS NOT NULL"
        variants = "SELECT object_key FROM variants WHERE workspace_id = %s"
        return {key for statement in (originals, variants) for (key,) in self.stack.sql(statement, cast.press.id)}

    def row(self, asset_id: str, columns: str) -> tuple[Any, ...]:
        """Columns of one asset's row."""
        return self.stack.sql(f"SELECT {columns} FROM assets WHERE id = %s", UUID(asset_id))[0]

    def task(self, target_id: str, columns: str) -> list[tuple[Any, ...]]:
        """Columns of the tasks about one thing."""
        return self.stack.sql(f"SELECT {columns} FROM tasks WHERE target_id = %s", UUID(target_id))

    def broken(self, *tenants: UUID) -> list[str]:
        """What the doctor finds broken, in all tenants when none is named."""
        with self.stack.app.app_context():
            with transaction():
                everyone = list(db.session.scalars(select(Tenant.id)))
            findings = [finding for tenant in tenants or everyone for finding in doctor.examine_tenant(tenant)]
            return [finding.detail.english for finding in findings if finding.ok is False]

    def one_worker(self) -> None:
        """See to it that the first worker runs, alone."""
        self.stack.workers[1].kill()
        if not self.stack.workers[0].running:
            self.stack.workers[0].start()

    def all_well(self) -> None:
        """Everything runs, nothing stands in the way, nobody's client is left."""
        while self._clients:
            self._clients.pop().close()
        self.scanner_proxy.release()
        self.scanner_proxy.open()
        for worker in self.stack.workers:
            worker.thaw()
        for process in self.stack.processes:
            if not process.running:
                process.start()

    def sound(self, cast: Cast, alice: ApiClient, sent: Sent) -> None:
        """A file came out well: it reads as it was sent, it is charged once, and nothing else is left in the store."""
        assert alice.download(sent.asset_id).content == sent.content
        assert alice.quota() == (len(sent.content), 0)
        ledger = "SELECT entry FROM quota_ledger WHERE subject_id = %s ORDER BY id"
        assert [entry for (entry,) in self.stack.sql(ledger, UUID(sent.upload_id))] == ["reserve", "settle"]
        self.forms_run_out()
        assert self.objects(cast) == self.expected_objects(cast)
        assert self.broken(cast.acme.id) == []


def eventually(check: Callable[[], Any], seconds: float = 60) -> Any:
    """What ``check`` gives as soon as it is true of something."""
    deadline = time.monotonic() + seconds
    while not (found := check()):
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)
    return found


@contextmanager
def start_live(engines: TestEngines, folder: Path) -> Iterator[Live]:
    """Everything, until the end of the block; then each invariant of each tenant is proved."""
    with (
        Unruly(engines.settings().s3_endpoint) as store,
        Daemon(dated=True) as daemon,
        TcpProxy(daemon.port) as scanner_proxy,
    ):
        scanner: dict[str, Any] = {"scanner_url": scanner_proxy.url, "scanner_test_database": None}
        allowed = (*engines.settings().egress_allow, store.url)
        settings = own_settings(engines, "live", queue=5, s3_endpoint=store.url, egress_allow=allowed, **scanner)
        stack = Stack(settings, folder)
        live = Live(stack, store, scanner_proxy)
        try:
            stack.start()
            yield live
            assert live.broken() == []
        finally:
            stack.stop()
