"""What other commands may know of the running stack: a private file, valid only while its supervisor lives."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from portal.embedded.faults import StackError
from portal.embedded.folder import DataFolder, write_private

ROOT = Path(__file__).resolve().parent.parent.parent


def data_folder(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder that ``PORTAL_DATA_DIR`` names, ``var/`` of this checkout by default."""
    return Path(environ.get("PORTAL_DATA_DIR", "").strip() or ROOT / "var").expanduser().absolute()


def merge(defaults: Mapping[str, str], environ: Mapping[str, str]) -> dict[str, str]:
    """The ``PORTAL_*`` variables that apply: the caller's, and our defaults for those that the caller did not set."""
    given = {name: value for name, value in environ.items() if name.startswith("PORTAL_") and value.strip()}
    open_ones = {name: value for name, value in defaults.items() if f"{name}_FILE" not in given}
    return {**open_ones, **given}


def write(folder: DataFolder, environment: dict[str, str], processes: dict[str, Any]) -> None:
    """Save how the running stack is reached, and the condition of each of its processes."""
    me = psutil.Process()
    content = {"pid": me.pid, "started": me.create_time(), "environment": environment, "processes": processes}
    write_private(folder.state, content)


def read(data_dir: Path) -> dict[str, Any] | None:
    """What ``write`` saved, or None when no stack runs there."""
    try:
        noted: dict[str, Any] = json.loads((data_dir / "run" / "state.json").read_text(encoding="utf-8"))
        alive = abs(psutil.Process(int(noted["pid"])).create_time() - float(noted["started"])) <= 1.0
    except PermissionError:
        raise StackError(f"The stack in {data_dir} belongs to another user. Run this as that user.") from None
    except (OSError, ValueError, KeyError, TypeError, psutil.NoSuchProcess):
        return None
    return noted if alive else None


def environment(data_dir: Path) -> dict[str, str]:
    """The ``PORTAL_*`` variables of the stack that runs in this folder. Raises ``StackError`` when none does."""
    noted = read(data_dir)
    if noted is None:
        raise StackError(
            f"No stack is running in {data_dir}. Start one with: portal up (PORTAL_DATA_DIR names another folder). "
            "To use engines that run elsewhere, set PORTAL_DATABASE_URL and the other PORTAL_* variables."
        )
    return {str(name): str(value) for name, value in noted["environment"].items()}
