"""The failure of a periodic task, with a text that is stored and shown in the reader's language."""

from __future__ import annotations

from portal.errors import Problem
from portal.texts import Text


class TaskFailed(Problem):
    """Why a periodic task could not be done, or what it found to be wrong."""

    def __init__(self, result: Text) -> None:
        super().__init__(result.english)
        self.result = result
