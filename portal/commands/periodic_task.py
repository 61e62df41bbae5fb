"""``portal periodic-task``: run one now, or list them."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

import click

from portal.commands import application, as_json, report


@click.command("periodic-task")
@click.argument("name", required=False)
@as_json
def periodic_task(name: str | None, as_json: bool) -> None:
    """Run one of the periodic tasks now, or list them all."""
    from portal.lifecycle import periodic_tasks

    with application():
        if name is None:
            _list(as_json)
            return
        outcome = periodic_tasks.run(name)
    report(as_json, outcome.said, **asdict(outcome))
    if not outcome.ok:
        sys.exit(1)


def _list(as_json: bool) -> None:
    from portal.lifecycle import periodic_tasks

    lines = periodic_tasks.statuses()
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], default=str))
        return
    for line in lines:
        click.echo(f"{line.state:8} {line.name}: {line.said}")
