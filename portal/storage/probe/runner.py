"""The steps in their order, each with a time limit, and what their results mean for a profile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.storage.probe import bucket_rules, cleanup, connectivity, cors, multipart, objects, public_access, uploads
from portal.storage.probe.context import Subject, Trial
from portal.storage.probe.results import Finding, Result, StepResult, failed, skipped, warned

log = logging.getLogger(__name__)

LIMIT = 40.0  # seconds for a step: four answers at the edge of what is waited for
NOT_ASKED = "Not asked: an earlier step, without which it makes no sense, did not succeed."
FIX = "Test again in a moment. If it stays so, ask the provider."


@dataclass(frozen=True)
class Step:
    """``needs`` names the steps without which this one makes no sense; ``core``: health hangs on it."""

    name: str
    run: Callable[[Trial], Finding]
    needs: tuple[str, ...] = ()
    core: bool = False


_STORING = ("write", "delete")  # nothing more is stored where it could not be removed
STEPS = (
    Step("reach", connectivity.reach, core=True),
    Step("credentials", connectivity.credentials, ("reach",), core=True),
    Step("owner", connectivity.owner, ("credentials",), core=True),
    Step("write", objects.write, ("owner",), core=True),
    Step("read", objects.read, ("write",), core=True),
    Step("delete", objects.delete, ("write",), core=True),
    Step("list", objects.list_below, _STORING),
    Step("post", uploads.post, _STORING),
    Step("put", uploads.put, _STORING),
    Step("sha256", uploads.sha256, _STORING),
    Step("multipart", multipart.multipart, _STORING),
    Step("copy", objects.copy, _STORING),
    Step("conditional_copy", objects.conditional_copy, ("copy",)),
    Step("range", objects.ranges, _STORING),
    Step("disposition", objects.disposition, _STORING),
    Step("cors", cors.allow_origin, _STORING),
    Step("encryption", bucket_rules.encryption, _STORING),
    Step("lifecycle", bucket_rules.lifecycle, ("credentials",)),
    Step("versioning", bucket_rules.versioning, ("credentials",)),
    Step("private", public_access.private, _STORING),
    Step("privileges", public_access.privileges, ("credentials",)),
    Step("marker", objects.take, ("write", "read", "delete")),
    Step("clean", cleanup.clean, ("write",)),
)
HEALTH = ("reach", "credentials", "write", "read", "delete")
WAYS = ("post", "put")


@dataclass(frozen=True)
class Verdict:
    """What a finished probe means. ``reason`` is empty when healthy."""

    healthy: bool
    reason: str
    capabilities: dict[str, Any] = field(default_factory=dict)


class Probe:
    """One run over a subject. Iterate to go through the steps; ``verdict`` afterwards."""

    def __init__(self, subject: Subject, steps: Sequence[Step] = STEPS, limit: float = LIMIT) -> None:
        self._subject, self._steps, self._limit = subject, steps, limit
        self.results: dict[str, StepResult] = {}
        self.capabilities: dict[str, Any] = {}

    def __iter__(self) -> Iterator[StepResult]:
        """Each step's result as it is known. Whoever stops in between leaves nothing behind, either."""
        trial = Trial(self._subject)
        cleared = False
        try:
            for step in self._steps:
                result = self._go(step, trial)
                self.results[step.name] = result
                cleared = cleared or step.name == "clean"
                yield result
        finally:
            if not cleared and "write" in self.results:
                _within(self._limit, lambda: cleanup.clear(trial))
            self.capabilities = dict(trial.can)
            trial.close()

    def verdict(self) -> Verdict:
        """Healthy when the contract's steps and one way of uploading passed; else the first reason in plain words."""
        can = self.capabilities if self._stands("write") else {"marker_lost": self.capabilities["marker_lost"]}
        passed = all(name in self.results and self.results[name].result is Result.PASS for name in HEALTH)
        if not passed or self._failed("marker"):
            return Verdict(False, self._first_failure(), can)
        if not any(can[way] for way in WAYS):
            return Verdict(False, "Neither form uploads nor signed PUTs can be used with this store.", can)
        return Verdict(True, "", can)

    def _failed(self, name: str) -> bool:
        return name in self.results and self.results[name].result is Result.FAIL

    def _first_failure(self) -> str:
        wrong = (each for each in self.results.values() if each.result is Result.FAIL)
        found = next(wrong, None)
        return found.detail if found else "The test of this storage was not finished."

    def _go(self, step: Step, trial: Trial) -> StepResult:
        began = time.monotonic()
        stands = all(self._stands(name) for name in step.needs)
        finding = self._ask(step, trial) if stands else skipped(NOT_ASKED)
        ms = round((time.monotonic() - began) * 1000)
        return StepResult(step.name, finding.result, ms, finding.detail, finding.fix, finding.paste)

    def _stands(self, name: str) -> bool:
        result = self.results.get(name)
        return result is not None and result.result in (Result.PASS, Result.WARN)

    def _ask(self, step: Step, trial: Trial) -> Finding:
        """In a thread of its own: a store that trickles its answers would hold us for ever."""
        outcome: list[Finding] = []

        def work() -> None:
            try:
                if step.name == "write":
                    cleanup.clear_before(trial)
                outcome.append(step.run(trial))
            except Exception:
                log.exception("probe: the step %s broke", step.name)

        _within(self._limit, work)
        if outcome:
            return outcome[0]
        worded = failed if step.core else warned
        return worded("This could not be found out: the store took too long, or answered in a way nobody expects.", FIX)


def _within(seconds: float, work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work, name="probe-step", daemon=True)
    thread.start()
    thread.join(seconds)
