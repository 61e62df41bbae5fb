"""How a storage profile is shown: pages and JSON read the same values, texts in the language of the reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask_babel import gettext as _

from portal.storage.contents import Contents
from portal.storage.models import Health, ProfileMode, StorageProfile
from portal.storage.probe.runner import STEPS
from portal.storage.profiles import masked
from portal.storage.service import MANAGED_NAME, health_of
from portal.texts import Text

# A test takes some twenty seconds: at first its page is renewed quickly, later not.
FAST_POLLS = 40
FAST_POLL_MS, SLOW_POLL_MS = 500, 3000


@dataclass(frozen=True)
class ProfileRow:
    """A profile in the list of storages. ``key`` is masked."""

    profile: StorageProfile
    health: str
    reason: Text | None
    contents: Contents
    key: str | None

    @property
    def name(self) -> str:
        """The managed storage keeps an English name in the database; nobody can change it."""
        return str(_("Managed storage")) if self.profile.name == MANAGED_NAME else self.profile.name

    @property
    def own(self) -> bool:
        """Whether it is a customer's own bucket."""
        return self.profile.mode is ProfileMode.BYOS

    @property
    def can_take_files(self) -> bool:
        """Whether new files can be sent there, which go elsewhere now."""
        return not self.profile.active and (not self.own or self.health == Health.HEALTHY)


def row_of(profile: StorageProfile, contents: Contents | None) -> ProfileRow:
    """``contents`` None: nothing lies there."""
    health, reason = health_of(profile)
    return ProfileRow(
        profile=profile,
        health=health.value,
        reason=reason,
        contents=contents or Contents(),
        key=masked(profile.access_key_id),
    )


@dataclass(frozen=True)
class TestView:
    """The last test of a profile, or the one that runs: steps {name, result, ms, detail, fix, paste}, in order.

    While it runs, one step has the result ``running`` and those after it ``waiting``. ``poll_ms``: when the page should
    ask for it again.
    """

    running: bool
    at: datetime | None
    steps: list[dict[str, Any]]
    poll_ms: int

    def count(self, result: str) -> int:
        """How many steps had this result."""
        return sum(step["result"] == result for step in self.steps)


def test_of(profile: StorageProfile, polls: int = 0) -> TestView:
    """``polls``: how often the page has asked already."""
    probe = profile.probe or {}
    running = profile.health is Health.PROBING
    steps = [readable(step) for step in probe.get("steps", [])]
    if running:
        finished = {step["name"] for step in steps}
        waiting = [step.name for step in STEPS if step.name not in finished]
        steps += [{"name": name, "result": "waiting" if number else "running"} for number, name in enumerate(waiting)]
    at = datetime.fromisoformat(probe["at"]) if probe.get("at") else None
    return TestView(running=running, at=at, steps=steps, poll_ms=FAST_POLL_MS if polls < FAST_POLLS else SLOW_POLL_MS)


def readable(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step as the profile keeps it, with its texts in the reader's language."""
    return {**step, "detail": str(Text.load(step["detail"])), "fix": str(Text.load(step["fix"]))}
