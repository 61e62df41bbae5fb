"""How a storage profile is shown: pages and JSON read the same values, texts in the language of the reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext, lazy_gettext, ngettext

from portal.sizes import format_size
from portal.storage.contents import Contents
from portal.storage.models import Encryption, Health, ProfileMode, StorageProfile
from portal.storage.probe.results import Result
from portal.storage.probe.runner import STEPS
from portal.storage.profiles import masked
from portal.storage.service import MANAGED_NAME, health_of
from portal.texts import Text
from portal.web.state_mark import StateMark

# A test takes about twenty seconds: during those its page polls quickly, afterwards slowly.
FAST_POLLS = 40
FAST_POLL_MS, SLOW_POLL_MS = 500, 3000

_STEP_TITLES = {
    "reach": lazy_gettext("Reach the store"),
    "credentials": lazy_gettext("Access key"),
    "owner": lazy_gettext("Not used by anybody else"),
    "write": lazy_gettext("Write"),
    "read": lazy_gettext("Read"),
    "delete": lazy_gettext("Delete"),
    "list": lazy_gettext("List"),
    "post": lazy_gettext("Form uploads"),
    "put": lazy_gettext("Signed uploads"),
    "sha256": lazy_gettext("Checksums"),
    "multipart": lazy_gettext("Uploads in parts"),
    "copy": lazy_gettext("Copy inside the store"),
    "conditional_copy": lazy_gettext("Copy only what is unchanged"),
    "range": lazy_gettext("Read a part"),
    "disposition": lazy_gettext("Names of downloads"),
    "cors": lazy_gettext("Uploads from this page (CORS)"),
    "encryption": lazy_gettext("Encryption"),
    "lifecycle": lazy_gettext("Lifecycle rules"),
    "versioning": lazy_gettext("Old versions"),
    "private": lazy_gettext("Not public"),
    "privileges": lazy_gettext("Rights of the key"),
    "marker": lazy_gettext("Owner's marker"),
    "clean": lazy_gettext("Clean up"),
}


@dataclass(frozen=True)
class ProfileRow:
    """A profile in the list of storages. ``key`` is masked."""

    profile: StorageProfile
    health: Health
    reason: Text | None
    contents: Contents
    key: str | None

    @property
    def name(self) -> str:
        """The managed storage has an English name in the database; nobody can change it."""
        return gettext("Managed storage") if self.profile.name == MANAGED_NAME else self.profile.name

    @property
    def own(self) -> bool:
        """Whether it is a customer's own bucket."""
        return self.profile.mode is ProfileMode.BYOS

    @property
    def mark(self) -> StateMark:
        """Whether it works."""
        if self.health is Health.HEALTHY:
            return StateMark("good", "circle-check", gettext("Works"))
        if self.health is Health.PROBING:
            return StateMark("busy", "loader-2", gettext("Being tested…"), spins=True)
        if self.health is Health.UNHEALTHY:
            return StateMark("bad", "alert-triangle", gettext("Does not work"))
        return StateMark("calm", "clock", gettext("Not tested yet"))

    @property
    def active_mark(self) -> StateMark | None:
        """For the profile that takes new files."""
        return StateMark("good", "cloud-upload", gettext("New files go here")) if self.profile.active else None

    @property
    def location(self) -> str:
        """Bucket and prefix, or who runs the store."""
        if not self.own:
            return gettext("Run by the operator of this portal")
        return "/".join(part for part in (self.profile.bucket, self.profile.key_prefix) if part)

    @property
    def host(self) -> str:
        """The store of an own bucket."""
        if not self.own:
            return ""
        return self.profile.endpoint or gettext("Amazon S3, %(region)s", region=self.profile.region)

    @property
    def encryption(self) -> str:
        """What new objects are encrypted with."""
        if self.profile.encryption is Encryption.NONE:
            return gettext("as the bucket is set up")
        return {Encryption.SSE_S3: "SSE-S3", Encryption.SSE_KMS: "SSE-KMS"}[self.profile.encryption]

    @property
    def can_take_files(self) -> bool:
        """Whether new files, which go elsewhere now, can be sent there."""
        return not self.profile.active and (not self.own or self.health is Health.HEALTHY)

    def activation_warning(self, active: ProfileRow) -> str:
        """What happens when this profile becomes the active one instead of ``active``."""
        stays = ngettext(
            "%(num)s file stays in “%(before)s” (%(size)s) and can be opened as before.",
            "%(num)s files stay in “%(before)s” (%(size)s) and can be opened as before.",
            active.contents.files,
            before=active.name,
            size=format_size(active.contents.original_bytes),
        )
        moving = gettext("Moving them is a separate step. Uploads that have begun end where they began.")
        counted = gettext("New uploads count against your space here.")
        if self.own:
            counted = gettext("Files in your own bucket do not count against your space here.")
        return f"{stays} {moving} {counted}"


def row_of(profile: StorageProfile, contents: Contents | None) -> ProfileRow:
    """``contents`` None: the profile holds no files."""
    health, reason = health_of(profile)
    return ProfileRow(
        profile=profile,
        health=health,
        reason=reason,
        contents=contents or Contents(),
        key=masked(profile.access_key_id),
    )


@dataclass(frozen=True)
class StepView:
    """One step of a test. ``ms`` None: it was skipped, or has not finished."""

    title: str
    result: str
    mark: StateMark
    detail: str = ""
    fix: str = ""
    paste: str = ""
    ms: int | None = None


@dataclass(frozen=True)
class TestView:
    """The last test of a profile, or the one that runs. ``poll_ms``: when the page asks for it again."""

    running: bool
    at: datetime | None
    summary: str
    steps: list[StepView]
    poll_ms: int


def test_of(profile: StorageProfile, polls: int = 0) -> TestView:
    """``polls``: how often the page has asked already."""
    probe = profile.probe or {}
    running = profile.health is Health.PROBING
    steps = [_finished_step(step) for step in probe.get("steps", [])]
    summary = _summary(steps, running=running)
    if running:
        finished = {step["name"] for step in probe.get("steps", [])}
        waiting = [step.name for step in STEPS if step.name not in finished]
        steps += [_unfinished_step(name, running=number == 0) for number, name in enumerate(waiting)]
    return TestView(
        running=running,
        at=datetime.fromisoformat(probe["at"]) if probe.get("at") and steps and not running else None,
        summary=summary,
        steps=steps,
        poll_ms=FAST_POLL_MS if polls < FAST_POLLS else SLOW_POLL_MS,
    )


def readable(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step as the profile stores it, with its texts in the reader's language."""
    return {**step, "detail": str(Text.load(step["detail"])), "fix": str(Text.load(step["fix"]))}


def _finished_step(stored: Mapping[str, Any]) -> StepView:
    step = readable(stored)
    marks = {
        Result.PASS: StateMark("good", "circle-check", gettext("Passed")),
        Result.WARN: StateMark("warn", "alert-triangle", gettext("Warning")),
        Result.FAIL: StateMark("bad", "circle-x", gettext("Failed")),
        Result.SKIPPED: StateMark("calm", "minus", gettext("Skipped")),
    }
    return StepView(
        title=str(_STEP_TITLES.get(step["name"], step["name"])),
        result=step["result"],
        mark=marks[Result(step["result"])],
        detail=step["detail"],
        fix=step["fix"],
        paste=step.get("paste", ""),
        ms=None if step["result"] == Result.SKIPPED else step["ms"],
    )


def _unfinished_step(name: str, *, running: bool) -> StepView:
    title = str(_STEP_TITLES.get(name, name))
    if running:
        return StepView(title, "running", StateMark("busy", "loader-2", gettext("Running…"), spins=True))
    return StepView(title, "waiting", StateMark("calm", "clock", gettext("Not yet")))


def _summary(steps: list[StepView], *, running: bool) -> str:
    if running:
        return gettext("The store is being tested. This takes a few seconds; you may leave the page.")
    if not steps:
        return gettext("This storage has not been tested yet.")
    counts = {result: sum(step.result == result for step in steps) for result in Result}
    return gettext(
        "%(good)s passed, %(warn)s with a warning, %(bad)s failed, %(skipped)s skipped",
        good=counts[Result.PASS],
        warn=counts[Result.WARN],
        bad=counts[Result.FAIL],
        skipped=counts[Result.SKIPPED],
    )
