"""``portal up``, ``portal env`` and ``portal setup``: the embedded stack, and preparing a deployed one."""

from __future__ import annotations

import sys
from pathlib import Path

import click


@click.command()
@click.option("--demo", is_flag=True, help="Add a demo tenant with people and pictures.")
@click.option(
    "--procfile", type=click.Path(dir_okay=False, path_type=Path), help="Run the processes of another Procfile."
)
def up(demo: bool, procfile: Path | None) -> None:
    """Run everything on this machine, in the foreground: engines, web, workers and scheduler.

    PORTAL_PORT (8000) and PORTAL_DATA_DIR (var/) move it. An engine whose PORTAL_* variable is set is not started.
    """
    from portal.embedded.up import run

    sys.exit(run(demo=demo, procfile=procfile))


@click.command()
def env() -> None:
    """Print the PORTAL_* variables of the running stack, one NAME=value a line."""
    from portal.embedded import state

    for name, value in sorted(state.environment(state.data_folder()).items()):
        click.echo(f"{name}={value}")


@click.command()
@click.option("--wait", is_flag=True, hidden=True, help="Load everything, then start at the end of standard input.")
def setup(wait: bool) -> None:
    """Bring the database to this release and prepare the store; safe to repeat."""
    from portal import embedded
    from portal.app import create_app
    from portal.database import schema
    from portal.errors import Unavailable
    from portal.storage.service import prepare_managed_store

    settings = embedded.discover(owner=True)
    app = create_app(settings)
    if wait:
        sys.stdin.read()
    schema.upgrade(settings)
    with app.app_context():
        try:
            prepare_managed_store(settings)
        except Unavailable as problem:
            # The scheduler tries again: a store that is unavailable must not keep everything else from starting.
            click.echo(f"The store at {settings.s3_endpoint} can't be prepared yet: {problem.detail}", err=True)
