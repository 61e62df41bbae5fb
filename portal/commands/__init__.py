"""The ``portal`` command, one module a group of commands. Here: what the groups share.

Each command does one thing and reports it as a sentence, or with ``--json`` as one JSON object; exit 1 when it failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")


@contextmanager
def application() -> Iterator[None]:
    """The application of this environment, or of the running embedded stack."""
    from portal import embedded
    from portal.app import create_app
    from portal.database import db, leave

    with create_app(embedded.discover()).app_context():
        try:
            yield
        finally:
            leave()
            db.engine.dispose()


def report(as_json: bool, sentence: str, **facts: Any) -> None:
    """Print what was done: the sentence for a person, the facts as JSON for a script."""
    click.echo(json.dumps(facts, default=str) if as_json else sentence)


def report_rows(as_json: bool, rows: list[dict[str, Any]]) -> None:
    """Print a list: one line a row for a person, one JSON array for a script."""
    if as_json:
        click.echo(json.dumps(rows, default=str))
        return
    for row in rows:
        click.echo("  ".join(str(value) for value in row.values()))
