"""The vendored front end is what its manifest says, and pages have all that they and their scripts use of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "static" / "js").glob("*.js"))}


def test_vendored_files_and_the_trimmed_stylesheet_are_up_to_date() -> None:
    command = [sys.executable, "scripts/vendor.py", "--check"]
    checked = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_scripts_and_the_file_of_their_texts_have_the_same_keys() -> None:
    texts = (ROOT / "templates" / "script_texts.json").read_text("utf-8")
    ours, uppys = texts.split("'uppy': {")
    every_script = "\n".join(SCRIPTS.values())
    assert len(re.findall(r"\bt\(", every_script)) == len(re.findall(r"\bt\((?=\"\w+\"|key)", every_script)), (
        "a text's key is written out where it is used"
    )
    assert set(re.findall(r"\bt\(\"(\w+)\"", every_script)) == set(re.findall(r"^  '(\w+)':", ours, re.MULTILINE))
    uppy = (ROOT / "static" / "vendor" / "uppy" / "uppy.min.js").read_text("utf-8")
    assert not [key for key in re.findall(r"^    '(\w+)':", uppys, re.MULTILINE) if not re.search(rf"\b{key}:", uppy)]


def test_every_import_of_a_script_leads_to_a_file() -> None:
    for name, text in SCRIPTS.items():
        for target in re.findall(r"(?:from|import|import\(|URL\()\s*\"(\.[^\"]+)\"", text):
            assert (ROOT / "static" / "js" / target).resolve().is_file(), f"{name}: {target}"


def test_a_script_that_is_named_somewhere_exists() -> None:
    pages = [*(ROOT / "templates").rglob("*.html"), *(ROOT / "portal").rglob("*.py"), *(ROOT / "docs").rglob("*.md")]
    for path in pages:
        for named in re.findall(r"static/js/([\w.]+\.js)", path.read_text("utf-8")):
            assert named in SCRIPTS, f"{path.relative_to(ROOT)}: {named}"
