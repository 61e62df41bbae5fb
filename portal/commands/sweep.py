"""``portal sweep``: one pass over what is due."""

from __future__ import annotations

import json

import click

from portal.commands import application, as_json


@click.command("sweep")
@as_json
def sweep(as_json: bool) -> None:
    """One pass over what is due, now."""
    from portal.lifecycle import sweep as sweeping

    with application():
        done = dict(sweeping.run())
    if as_json:
        click.echo(json.dumps(done))
        return
    for job, count in sorted(done.items()):
        click.echo(f"{job}: {count}")
    if not done:
        click.echo("Nothing was due.")
