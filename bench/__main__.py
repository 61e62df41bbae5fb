"""Benchmarks with their peers: ``python -m bench [--write] [NAME …]``; without names all of them.

Prints one table; ``--write`` also puts its rows into ``docs/performance.md``, where each benchmark has its own place.
The figures are medians, and a ratio compares two that took turns on the same machine in the same minutes: it is the
ratios that say something. Nothing fails here because a machine is slow; only a benchmark that breaks does.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

BENCHES = ("previews", "uploads", "photos", "begin", "gallery", "intake", "quotas", "admin_pages")
PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
COLUMNS = ("work", "measure", "ours", "peer", "ratio", "target")

Row = dict[str, Any]


def main(arguments: Sequence[str]) -> int:
    """The exit code: 0, or 1 when a benchmark broke."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}; all when left out")
    parser.add_argument("--write", action="store_true", help="put the rows into docs/performance.md")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - set(BENCHES):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}")
    broken = []
    for name in asked.names or BENCHES:
        print(f"{name} …", file=sys.stderr, flush=True)
        try:
            rows = import_module(f"bench.{name}").run()
        except Exception as error:  # the others still have something to say
            print(f"{name} broke: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
            broken.append(name)
            continue
        print(table(rows), flush=True)
        if asked.write:
            write(name, rows)
    return 1 if broken else 0


def table(rows: Sequence[Row]) -> str:
    """The rows as a table in Markdown."""
    lines = [COLUMNS, tuple("---" for _ in COLUMNS), *([_cell(row[column]) for column in COLUMNS] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def write(name: str, rows: Sequence[Row]) -> None:
    """Replace what stands between this benchmark's two marks. Raises LookupError when the page has none."""
    text = PAGE.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise LookupError(f"{PAGE} has no place for {name}: two lines, {begin} and {end}")
    when = f"{datetime.now(UTC):%Y-%m-%d}, {_machine()}"
    place = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    PAGE.write_text(place.sub(lambda _: f"{begin}\n{table(rows)}\n_{when}_\n{end}", text), encoding="utf-8")


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def _machine() -> str:
    found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    model = found[1] if found else platform.machine()
    return f"{len(os.sched_getaffinity(0))} processors ({model}), Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
