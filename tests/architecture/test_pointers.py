"""Every file that documentation and comments name exists."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
READ = ("*.md", "*.py", "*.html", "*.css", "*.js", "*.toml", "Makefile")
# The changelog and the migrations tell of what was; vendored files and golden cases are not ours.
SKIPPED = ("CHANGELOG.md", "migrations/versions/", "static/vendor/", "tests/browser/vendor/", "tests/support/cases/")
POINTER = re.compile(r"(?<![\w/.*<{-])((?:[\w-]+/)+[\w.-]+\.(?:py|html|js|css|md|toml|txt|json))(?![\w/*{])")
# Where a comment may leave out the beginning of a path.
BASES = ("", "portal", "templates", "static", "static/js", "tests", "docs")
# Files of other projects and of an installation.
NOT_OURS = re.compile(r"^(etc|usr|var|proc|sys|tmp|opt|srv|sklearn|skimage|spec)/")
SUPERSEDED = {"portal/flights.py": "docs/adr/0012-pipelined-statements.md"}


def comments_of(path: Path) -> str:
    """What of a file points somewhere: a document whole, of code the comments and docstrings."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return "\n".join([*re.findall(r"#.*", text), *re.findall(r'"""(.*?)"""', text, re.DOTALL)])
    if path.suffix == ".html":
        return "\n".join(re.findall(r"\{#(.*?)#\}", text, re.DOTALL))
    if path.suffix in (".css", ".js"):
        return "\n".join([*re.findall(r"/\*(.*?)\*/", text, re.DOTALL), *re.findall(r"(?<!:)//.*", text)])
    return text


def pointers() -> Iterator[tuple[str, str]]:
    listed = subprocess.run(["git", "ls-files", *READ], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in listed.stdout.splitlines():
        if not name.startswith(SKIPPED) and (ROOT / name).is_file():
            for found in POINTER.findall(comments_of(ROOT / name)):
                yield name, found


def exists(pointer: str, named_in: str) -> bool:
    beside = (ROOT / named_in).parent / pointer
    return beside.exists() or any((ROOT / base / pointer).exists() for base in BASES)


def test_every_file_that_is_named_exists() -> None:
    stale = {
        (source, pointer)
        for source, pointer in pointers()
        if not NOT_OURS.match(pointer) and not exists(pointer, source) and SUPERSEDED.get(pointer) != source
    }
    assert stale == set()


def test_pointers_are_found() -> None:
    found = {pointer for _, pointer in pointers()}
    assert {"docs/operating.md", "static/vendor/manifest.json"} <= found
