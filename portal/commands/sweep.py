"""``portal sweep``: one pass over what is due."""

from __future__ import annotations

import json

import click

from portal.commands import application, as_json


@click.command("sweep")
@click.option("--dry-run", is_flag=True, help="Show what is due, by kind, and do nothing.")
@as_json
def sweep(dry_run: bool, as_json: bool) -> None:
    """One pass over what is due, now."""
    from portal.lifecycle.sweep import preview, run

    with application():
        done = preview() if dry_run else dict(run())
    if as_json:
        click.echo(json.dumps(done))
        return
    for job, count in sorted(done.items()):
        click.echo(f"{job}: {count}")
    if not done:
        click.echo("Nothing was due.")
