"""``portal periodic-task``: run one now, or list them."""

from __future__ import annotations

import json
import sys

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
    report(as_json, outcome.result.english, name=outcome.name, ok=outcome.ok, said=outcome.result.english)
    if not outcome.ok:
        sys.exit(1)


def _list(as_json: bool) -> None:
    from portal.lifecycle import periodic_tasks

    statuses = periodic_tasks.statuses()
    if not as_json:
        for status in statuses:
            click.echo(f"{status.state:8} {status.name}: {status.result.english}")
        return
    entries = [
        {
            "name": status.name,
            "state": status.state,
            "said": status.result.english,
            "started_at": status.started_at,
            "finished_at": status.finished_at,
            "next_due_at": status.next_due_at,
            "failures": status.failures,
        }
        for status in statuses
    ]
    click.echo(json.dumps(entries, default=str))
