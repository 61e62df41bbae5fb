"""The steps in their order, each with a time limit, and what their results mean for a profile."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from portal.storage.probe import bucket_rules, cleanup, connectivity, cors, multipart, objects, public_access, uploads
from portal.storage.probe.context import ProbeContext, ProbeTarget
from portal.storage.probe.results import Finding, Result, StepResult, failed, skipped, warned
from portal.texts import Text

log = logging.getLogger(__name__)

STEP_SECONDS = 40.0  # more than one answer may take
NOT_TESTED = Text("Not tested: an earlier step that this one needs did not succeed.")
UNKNOWN = Text("This could not be found out: the store took too long, or gave an answer that is not S3's.")
NOT_FINISHED = Text("The test of this storage was not finished.")
NO_UPLOADS = Text("Neither form uploads nor signed PUTs can be used with this store.")


@dataclass(frozen=True)
class Step:
    """``needs`` names the steps without which this one makes no sense; ``core``: no files can be kept without it."""

    name: str
    run: Callable[[ProbeContext], Finding]
    needs: tuple[str, ...] = ()
    core: bool = False


_STORING = ("write", "delete")  # nothing more is stored where it could not be deleted
STEPS = (
    Step("reach", connectivity.reach, core=True),
    Step("credentials", connectivity.credentials, ("reach",), core=True),
    Step("owner", connectivity.owner, ("credentials",), core=True),
    Step("write", objects.write, ("owner",), core=True),
    Step("read", objects.read, ("write",), core=True),
    Step("delete", objects.delete, ("write",), core=True),
    Step("list", objects.list_prefix, _STORING),
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
    Step("marker", objects.leave_marker, ("write", "read", "delete")),
    Step("clean", cleanup.clean, ("write",)),
)
REQUIRED = ("reach", "credentials", "write", "read", "delete")
UPLOAD_METHODS = ("post", "put")


@dataclass(frozen=True)
class Verdict:
    """What a finished probe means for a profile. ``reason`` is None when healthy."""

    healthy: bool
    reason: Text | None
    capabilities: dict[str, Any] = field(default_factory=dict)


class Probe:
    """One run over a target. Iterate to go through the steps; ``verdict`` afterwards."""

    def __init__(self, target: ProbeTarget, steps: Sequence[Step] = STEPS, step_seconds: float = STEP_SECONDS) -> None:
        self._target, self._steps, self._step_seconds = target, steps, step_seconds
        self.results: dict[str, StepResult] = {}
        self.capabilities: dict[str, Any] = {}

    def __iter__(self) -> Generator[StepResult, None, None]:
        """Each step's result as it is known. Stopping in between leaves nothing in the bucket, either."""
        context = ProbeContext(self._target)
        cleaned = False
        try:
            for step in self._steps:
                result = self._result_of(step, context)
                self.results[step.name] = result
                cleaned = cleaned or step.name == "clean"
                yield result
        finally:
            if not cleaned and "write" in self.results:
                self._run_in_thread(lambda: cleanup.delete_own(context))
            self.capabilities = dict(context.capabilities)
            context.close()

    @property
    def keys_work(self) -> bool:
        """Whether the keys were seen to write, read and delete so far."""
        return all(self._succeeded(name) for name in ("write", "read", "delete"))

    def verdict(self) -> Verdict:
        """Healthy when the required steps and one way of uploading passed; else with the first failure as reason."""
        capabilities = self.capabilities
        if not self._succeeded("write"):  # nothing else was shown
            capabilities = {"marker_lost": self.capabilities["marker_lost"]}
        passed = all(name in self.results and self.results[name].result is Result.PASS for name in REQUIRED)
        marker = self.results.get("marker")
        if not passed or (marker is not None and marker.result is Result.FAIL):
            failures = (each.detail for each in self.results.values() if each.result is Result.FAIL)
            return Verdict(healthy=False, reason=next(failures, NOT_FINISHED), capabilities=capabilities)
        if not any(capabilities[method] for method in UPLOAD_METHODS):
            return Verdict(healthy=False, reason=NO_UPLOADS, capabilities=capabilities)
        return Verdict(healthy=True, reason=None, capabilities=capabilities)

    def _result_of(self, step: Step, context: ProbeContext) -> StepResult:
        began = time.monotonic()
        needs_met = all(self._succeeded(name) for name in step.needs)
        finding = self._run(step, context) if needs_met else skipped(NOT_TESTED)
        ms = round((time.monotonic() - began) * 1000)
        return StepResult(step.name, finding.result, ms, finding.detail, finding.fix, finding.paste)

    def _succeeded(self, name: str) -> bool:
        result = self.results.get(name)
        return result is not None and result.result in (Result.PASS, Result.WARN)

    def _run(self, step: Step, context: ProbeContext) -> Finding:
        findings: list[Finding] = []

        def work() -> None:
            try:
                if step.name == "write":
                    cleanup.delete_leftovers(context)
                findings.append(step.run(context))
            except Exception:
                log.exception("probe: the step %s failed", step.name)

        self._run_in_thread(work)
        if findings:
            return findings[0]
        fix = Text("Test again in a moment. If this stays, ask the provider.")
        return failed(UNKNOWN, fix) if step.core else warned(UNKNOWN, fix)

    def _run_in_thread(self, work: Callable[[], object]) -> None:
        # In a thread, which is left behind at the limit: each request has a deadline, but a step makes many.
        thread = threading.Thread(target=work, name="probe-step", daemon=True)
        thread.start()
        thread.join(self._step_seconds)
