"""How pages show a state: an icon with words, never colour alone (WCAG 2.2, 1.4.1). Shown by components/state.html."""

from __future__ import annotations

from typing import Literal, NamedTuple


class StateMark(NamedTuple):
    """``title`` says more, on hover; ``spins`` turns the icon while something is under way."""

    tone: Literal["good", "warn", "bad", "busy", "wait", "calm"]
    icon: str
    words: str
    title: str | None = None
    spins: bool = False
