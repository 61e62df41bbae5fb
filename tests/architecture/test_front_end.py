"""The vendored front end is what its manifest says, and pages have all that they use of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_vendored_files_and_the_trimmed_stylesheet_are_up_to_date() -> None:
    command = [sys.executable, "scripts/vendor.py", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
