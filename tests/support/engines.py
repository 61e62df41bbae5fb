"""Real engines for the tests: Postgres, Valkey, SeaweedFS and clamd on free ports, in a folder of their own.

    engines = start_engines()            # once a run; about two seconds
    settings = engines.settings()        # a complete portal.settings.Settings; keyword arguments override
    engines.valkey.kill()                # as a crash would; engines.valkey.restart() brings it back with its data
    engines.stop()                       # processes and folder are gone

``engines.origin`` is the address (http://localhost:PORT) that the store lets browsers upload from: a test that needs a
browser serves the portal on ``engines.web_port``. clamd knows one signature, EICAR's, and is None without ClamAV.
Migrations are not run here: ``portal.schema.upgrade(settings)`` does that.

For a developer, ``python -m tests.engines FOLDER`` keeps a private set in the foreground and prints its environment.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from portal.embedded.clamav import Clamd
from portal.embedded.engines import Engines
from portal.embedded.folder import DataFolder
from portal.embedded.ports import Ports
from portal.embedded.postgres import Postgres
from portal.embedded.seaweedfs import Identity, SeaweedFS
from portal.embedded.secret import load_or_create
from portal.embedded.service import Service
from portal.embedded.valkey import Valkey
from portal.settings import Settings
from portal.storage.policies import policies_for

# The harmless test file of the European Institute for Computer Antivirus Research, in two halves so that no scanner
# takes this file for it.
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + "EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*").encode()
SIGNATURE = "Eicar-Test-Signature"

# Those who bring a bucket of their own: a customer with all rights, and one with rights in ``restricted`` alone. The
# customer's secret is the canary: it must be found nowhere (tests/support/secret_canary.py).
CANARY = "Canary7xQwertyKeepsThisSecretAndNobodyElse"
CUSTOMER = Identity("customer", "CUSTOMERKEY0123456789", CANARY)
SECOND_CUSTOMER = Identity("second-customer", "CUSTOMERKEY9876543210", f"{CANARY}Second")
RESTRICTED = Identity(
    "restricted", "RESTRICTEDKEY01234567", f"{CANARY}Third", ("Read:restricted", "Write:restricted", "List:restricted")
)
# A key with the least rights, exactly as ``policies`` writes them for SeaweedFS, below one prefix of one bucket.
LEAST_PLACE = ("contract", "customer/files")


def _least() -> Identity:
    policy = next(each for each in policies_for(*LEAST_PLACE) if each.provider == "seaweedfs")
    (identity,) = json.loads(policy.text)["identities"]
    return Identity("least", "LEASTRIGHTSKEY0123456", "LeastRightsSecretOfTheTests", tuple(identity["actions"]))


LEAST = _least()

# A key that may do nothing at all, until a policy of a bucket says otherwise. As SeaweedFS names its own identities in
# policies: in an account of twelve zeros.
POLICY_ALONE = Identity("policy-alone", "POLICYALONEKEY0123456", "PolicyAloneSecretOfTheTests", ("Read:nowhere",))
POLICY_ALONE_ARN = "arn:aws:iam::000000000000:user/policy-alone"


class TestEngines:
    """A running set. Each engine can be killed and started again on its own."""

    __test__ = False  # a name that pytest would collect

    postgres: Postgres
    valkey: Valkey
    store: SeaweedFS
    clamd: Clamd | None

    def __init__(self, path: Path, *, temporary: bool) -> None:
        self.temporary = temporary
        self.folder = DataFolder(path)
        self.folder.open()
        ports = Ports(path / "web.json")
        self.web_port = ports.port("web")
        ports.save()
        self.origin = f"http://localhost:{self.web_port}"
        self._secrets = load_or_create(path / "secrets.json")
        environ = {"PORTAL_SCANNER_TEST_DATABASE": str(signatures(path / "signatures"))}
        engines = Engines(self.folder, self._secrets, environ, origin=self.origin, durable=False)
        assert engines.postgres and engines.valkey and engines.store
        self.postgres, self.valkey, self.store, self.clamd = (
            engines.postgres,
            engines.valkey,
            engines.store,
            engines.clamd,
        )
        self.store.identities = [CUSTOMER, SECOND_CUSTOMER, RESTRICTED, LEAST, POLICY_ALONE]
        # Each bucket takes a volume with its first object, and a disk has room for so many: ours are small.
        self.store.flags["master.volumeSizeLimitMB"] = 64
        self._engines = engines

    def __iter__(self) -> Iterator[Service]:
        return iter(self._engines)

    def environment(self) -> dict[str, str]:
        """Every ``PORTAL_*`` variable of this set, for a child process."""
        return {
            **self._engines.environment(),
            "PORTAL_BASE_URL": self.origin,
            "PORTAL_SECRET_KEYS": self._secrets.session_key,
            "PORTAL_VAULT_KEYS": self._secrets.vault_key,
            "PORTAL_SCANNER_TEST_DATABASE": str(self._engines.test_database),
        }

    def settings(self, **overrides: Any) -> Settings:
        """Settings that lead to these engines."""
        return replace(Settings.from_environ(self.environment()), **overrides)

    def start(self) -> None:
        """Start all at once and wait for each."""
        for engine in self:
            engine.start()
        for engine in self:
            engine.wait_until_ready()

    def stop(self) -> None:
        """Stop all; a temporary folder is removed."""
        for engine in self:
            engine.ask_to_stop()
        for engine in self:
            engine.stop()
        if self.temporary:
            self.folder.remove()


def signatures(folder: Path) -> Path:
    """Make a private signature database that knows EICAR alone."""
    folder.mkdir(exist_ok=True)
    (folder / "test.ndb").write_text(f"{SIGNATURE}:0:0:{EICAR.hex()}\n", encoding="ascii")
    return folder


def start_engines(path: Path | None = None) -> TestEngines:
    """Start a set, in a temporary folder when none is given. Call ``stop()`` in the end."""
    folder = path or Path(tempfile.mkdtemp(prefix="stowage-test-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711)  # the database's own user passes through
    engines = TestEngines(folder, temporary=path is None)
    try:
        engines.start()
    except BaseException:
        engines.stop()
        raise
    return engines


def _main() -> None:
    began = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: sys.exit(0))
    engines = start_engines(Path(sys.argv[1]).absolute())
    try:
        for name, value in engines.environment().items():
            print(f"{name}={value}")
        print(f"# ready after {time.monotonic() - began:.1f} s, pid {os.getpid()}; Ctrl-C stops all", flush=True)
        signal.pause()
    finally:
        engines.stop()


if __name__ == "__main__":
    _main()
