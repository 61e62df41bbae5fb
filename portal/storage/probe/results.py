"""What a step says: a result, what it means in plain words, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Result(StrEnum):
    """``warn``: works, or is not needed, but somebody should know. ``skipped``: was not asked, or there is no such."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What one step found. ``fix`` says what to do; ``paste`` is the exact text for it (JSON), ready to copy."""

    result: Result
    detail: str
    fix: str = ""
    paste: str = ""


@dataclass(frozen=True)
class StepResult:
    """A finding with its step's name and the time it took, in milliseconds."""

    name: str
    result: Result
    ms: int
    detail: str
    fix: str = ""
    paste: str = ""

    def as_json(self) -> dict[str, Any]:
        """As it is stored and published."""
        told = {"name": self.name, "result": str(self.result), "ms": self.ms, "detail": self.detail, "fix": self.fix}
        return {**told, "paste": self.paste} if self.paste else told


def passed(detail: str) -> Finding:
    """As it should be."""
    return Finding(Result.PASS, detail)


def warned(detail: str, fix: str = "", paste: str = "") -> Finding:
    """Not as it should be, and files are safe nevertheless."""
    return Finding(Result.WARN, detail, fix, paste)


def failed(detail: str, fix: str, paste: str = "") -> Finding:
    """Nothing can be kept here before this is mended."""
    return Finding(Result.FAIL, detail, fix, paste)


def skipped(detail: str) -> Finding:
    """Not asked, and why."""
    return Finding(Result.SKIPPED, detail)
