"""What a step reports: a result, what it means in plain words, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from portal.texts import Text

NOTHING = Text.join()  # no literal: pybabel would take the empty text for the header of the catalogue


class Result(StrEnum):
    """``warn``: works, or is not needed, but somebody should know. ``skipped``: not tested, or there is no such."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What one step found. ``fix`` says what to do; ``paste`` is the exact text for it (JSON), ready to copy."""

    result: Result
    detail: Text
    fix: Text = NOTHING
    paste: str = ""


@dataclass(frozen=True)
class StepResult:
    """A finding with its step's name and the time it took, in milliseconds."""

    name: str
    result: Result
    ms: int
    detail: Text
    fix: Text = NOTHING
    paste: str = ""

    def as_json(self) -> dict[str, Any]:
        """As a profile keeps it: the texts in their stored form (see ``portal.texts``)."""
        stored = {
            "name": self.name,
            "result": str(self.result),
            "ms": self.ms,
            "detail": self.detail.stored,
            "fix": self.fix.stored,
        }
        return {**stored, "paste": self.paste} if self.paste else stored


def passed(detail: Text) -> Finding:
    """As it should be."""
    return Finding(Result.PASS, detail)


def warned(detail: Text, fix: Text = NOTHING, paste: str = "") -> Finding:
    """Not as it should be, and files are safe nevertheless."""
    return Finding(Result.WARN, detail, fix, paste)


def failed(detail: Text, fix: Text, paste: str = "") -> Finding:
    """No files can be kept here before this is fixed."""
    return Finding(Result.FAIL, detail, fix, paste)


def skipped(detail: Text) -> Finding:
    """Not tested, and why."""
    return Finding(Result.SKIPPED, detail)
