"""A portal whose customers' receivers are on loopback, and tina's webhooks there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from portal.database import transaction
from portal.events import service as events
from portal.events.models import EventType
from portal.webhooks import delivery, dispatch
from tests.support.client import Scene, Site, served
from tests.support.engines import TestEngines
from tests.support.people import Cast
from tests.support.processes import own_settings
from tests.support.webhook_receiver import Receiver


@pytest.fixture(scope="session")
def _receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def receiver(_receiver: Receiver) -> Receiver:
    """Somebody who takes everything."""
    _receiver.reset()
    return _receiver


@pytest.fixture(scope="session")
def site(engines: TestEngines, _receiver: Receiver) -> Iterator[Site]:
    """The receiver is allowed by plain http, as an operator would."""
    allowed = (*engines.settings().egress_allow, _receiver.url)
    yield from served(own_settings(engines, "webhooks", queue=10, egress_allow=allowed))


@dataclass
class Hooks:
    """Tina's webhooks over the API, and what workers and clock do with them."""

    scene: Scene
    receiver: Receiver

    @property
    def cast(self) -> Cast:
        """The people."""
        return self.scene.cast

    def path(self, *more: object) -> str:
        """An address of the API."""
        return "/".join(map(str, (f"/v1/tenants/{self.cast.acme.id}/webhooks", *more)))

    def call(self, method: str, *path: object, body: Any = None, status: int = 200) -> Any:
        """What tina is answered."""
        answer = self.cast.tina.api.open(self.path(*path), method=method, json=body)
        assert answer.status_code == status, answer.text
        return answer.get_json() if answer.data else None

    def add(self, path: str = "/told", **wanted: Any) -> dict[str, Any]:
        """Tell the receiver from now on."""
        added: dict[str, Any] = self.call("POST", body={"url": self.receiver.url + path, **wanted}, status=201)
        return added

    def show(self, hook: dict[str, Any]) -> dict[str, Any]:
        """How it is."""
        found: dict[str, Any] = self.call("GET", hook["id"])
        return found

    def deliveries(self, hook: dict[str, Any], **narrowed: str) -> list[dict[str, Any]]:
        """What became of what, the newest first."""
        query = "".join(f"?{name}={value}" for name, value in narrowed.items())
        items: list[dict[str, Any]] = self.call("GET", hook["id"], f"deliveries{query}")["items"]
        return items

    def happen(self, kind: EventType = EventType.QUOTA_WARNING, *, here: bool = False, **data: Any) -> None:
        """Something happens in the tenant, or in its workspace."""
        with self.scene.site.app.app_context(), transaction(self.cast.acme.id):
            events.record(kind, self.cast.acme.id, self.cast.press.id if here else None, **data)

    def tell(self) -> None:
        """What the scheduler does first, without the rest of its pass."""
        with self.scene.site.app.app_context():
            dispatch.run(self.cast.acme.id)

    def deliver(self, hook: dict[str, Any]) -> None:
        """What a worker does with its job."""
        with self.scene.site.app.app_context():
            delivery.run(self.cast.acme.id, UUID(hook["id"]))

    def pass_time(self, hook: dict[str, Any], interval: str = "1 day") -> None:
        """Let what waits be due, and the receiver have rested."""
        past = f"now() - interval '{interval}'"
        self.scene.site.sql(
            f"UPDATE webhook_deliveries SET due_at = {past} WHERE endpoint_id = %s AND state = 'waiting'",
            UUID(hook["id"]),
        )
        self.scene.site.sql(f"UPDATE webhook_endpoints SET paused_until = {past} WHERE id = %s", UUID(hook["id"]))
        self.scene.site.sql(f"UPDATE tasks SET due_at = {past} WHERE target_id = %s", UUID(hook["id"]))


@pytest.fixture
def hooks(scene: Scene, receiver: Receiver) -> Hooks:
    """The above; webhooks of other tests are gone."""
    scene.site.sql("DELETE FROM webhook_endpoints")
    return Hooks(scene, receiver)
