"""Commands that the stack runs once, beside its services: the set-up before the first page, the demo data after it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import IO

from portal.embedded.folder import DataFolder
from portal.embedded.process import Process


class OneOff(Process):
    """One ``portal`` command, run once with the stack's variables; its output goes to our terminal."""

    def __init__(self, name: str, folder: DataFolder, arguments: list[str], variables: dict[str, str]) -> None:
        super().__init__(name, folder, "", variables)
        self.arguments = arguments

    def command(self) -> list[str]:
        """This Python runs the command."""
        return [sys.executable, "-m", "portal", *self.arguments]

    def output(self) -> IO[bytes] | None:
        """Our terminal."""
        return None

    def failed(self) -> bool:
        """Whether it ended with an error."""
        return self.process is not None and self.process.poll() not in (None, 0)


class Setup(OneOff):
    """``portal setup``: loads its code while the engines start, and waits for ``begin``."""

    stdin = subprocess.PIPE
    withheld = ()

    def __init__(self, folder: DataFolder, variables: dict[str, str]) -> None:
        super().__init__("setup", folder, ["setup", "--wait"], variables)

    def begin(self) -> None:
        """The engines are ready: closing its standard input lets it go on."""
        if self.process is not None and self.process.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self.process.stdin.close()
