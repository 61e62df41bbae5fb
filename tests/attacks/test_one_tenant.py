"""One tenant stops nobody else: slow archives and a backlog keep only its own files waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.api_client import ApiClient
from tests.support.clamd_daemons import FakeClamd, usual_answer
from tests.support.deployment import eventually
from tests.support.engines import TestEngines
from tests.support.people import Actor, Cast, make_cast
from tests.support.processes import Stack, own_settings

SLOW = b"This takes a scanner as long as it is allowed to."
PATIENCE = 240.0  # seconds until a test fails; no test passes or fails by how long something took


class SlowScanner:
    """A scanner that answers about ``SLOW`` only when the test lets it; ``begun``: how many of those it was given."""

    def __init__(self) -> None:
        self.begun = 0
        self.go = threading.Event()
        self.fake = FakeClamd(self._answer)

    def _answer(self, command: str, content: bytes) -> str:
        if SLOW in content:
            self.begun += 1
            self.go.wait(PATIENCE)
        return usual_answer(command, content)


@pytest.fixture(scope="module")
def scanner() -> Iterator[SlowScanner]:
    slow = SlowScanner()
    with slow.fake:
        yield slow
        slow.go.set()


@pytest.fixture(scope="module")
def stack(engines: TestEngines, scanner: SlowScanner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """Web, two workers and the scheduler, on a database of their own."""
    settings = own_settings(engines, "stopped", queue=12, scanner_url=scanner.fake.unix)
    running = Stack(settings, tmp_path_factory.mktemp("stopped"))
    try:
        running.start()
        yield running
    finally:
        scanner.go.set()
        running.stop()


def client_of(stack: Stack, cast: Cast, actor: Actor, closing: ExitStack) -> ApiClient:
    client = ApiClient(stack.settings.base_url, actor.token, cast.press.id)
    closing.callback(client.close)
    return client


def finished(stack: Stack, tenant: Cast) -> int:
    statement = "SELECT count(*) FROM assets WHERE tenant_id = %s AND state <> 'processing'"
    return int(stack.sql(statement, tenant.acme.id)[0][0])


def test_slow_archives_of_one_tenant_keep_nobody_elses_file_waiting(stack: Stack, scanner: SlowScanner) -> None:
    theirs, ours = make_cast(stack.app), make_cast(stack.app)
    with ExitStack() as closing:
        attacker, alice = (client_of(stack, cast, cast.alice, closing) for cast in (theirs, ours))
        for number in range(8):
            attacker.upload(f"slow-{number}.txt", SLOW + str(number).encode())
        eventually(lambda: scanner.begun >= 1, PATIENCE)
        first = alice.upload("ours.txt", b"a file of ours")
        alice.wait(first.asset_id, "available", seconds=PATIENCE)
        assert finished(stack, theirs) == 0, "it waited for the end of no scan of theirs"
        long = "SELECT count(*) FROM tasks WHERE tenant_id = %s AND lane = 'slow'"
        eventually(lambda: stack.sql(long, theirs.acme.id)[0][0], PATIENCE)
        # From now on they are known for long jobs: one of the two workers is never theirs.
        eventually(lambda: len(at_work(stack, theirs)) <= 1, PATIENCE)
        for number in range(5):
            begun = scanner.begun
            next_one = alice.upload(f"ours-{number}.txt", b"another file of ours")
            alice.wait(next_one.asset_id, "available", seconds=PATIENCE)
            assert scanner.begun - begun <= 1 and finished(stack, theirs) == 0
        scanner.go.set()
        eventually(lambda: finished(stack, theirs) == 8, PATIENCE)


def at_work(stack: Stack, tenant: Cast) -> list[tuple[str]]:
    statement = "SELECT kind FROM tasks WHERE tenant_id = %s AND lease_until > now()"
    return stack.sql(statement, tenant.acme.id)


def test_a_backlog_of_one_tenant_lets_another_ones_file_through_after_at_most_a_few(stack: Stack) -> None:
    """7,000 small files made another tenant wait 526 s."""
    theirs, ours = make_cast(stack.app), make_cast(stack.app)
    with ExitStack() as closing:
        busy, alice = (client_of(stack, cast, cast.alice, closing) for cast in (theirs, ours))
        for worker in stack.workers:
            worker.freeze()
        for number in range(60):
            busy.upload(f"{number}.txt", f"file {number}".encode())
        sent = alice.upload("ours.txt", b"a file of ours")
        for worker in stack.workers:
            worker.thaw()
        alice.wait(sent.asset_id, "available", seconds=PATIENCE)
        eventually(lambda: finished(stack, theirs) == 60, PATIENCE)
        before = (
            "SELECT count(*) FROM assets WHERE tenant_id = %s AND scanned_at < (SELECT scanned_at FROM assets"
            " WHERE tenant_id = %s)"
        )
        # Two workers have taken one of theirs each, and two a worker wait; whoever has nothing under way comes first.
        assert stack.sql(before, theirs.acme.id, ours.acme.id)[0][0] <= 6
