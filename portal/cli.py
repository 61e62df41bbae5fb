"""The ``portal`` command. Each command imports what it needs when it runs, so that ``portal env`` stays quick."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import click

# Commands that live in their room: name -> "module:function". Loaded when one is called or listed.
ELSEWHERE: dict[str, str] = {
    "operator": "portal.commands.accounts:operator",
    "tenant": "portal.commands.accounts:tenant",
    "user": "portal.commands.accounts:user",
    "workspace": "portal.commands.accounts:workspace",
    "token": "portal.commands.accounts:token",
    "vault": "portal.commands.accounts:vault",
    "sweep": "portal.commands.maintenance:sweep",
    "chore": "portal.commands.maintenance:chore",
    "doctor": "portal.commands.maintenance:examine",
    "demo": "portal.commands.maintenance:demo",
    "generate": "portal.commands.maintenance:generate",
}


class Commands(click.Group):
    """The group: finds commands in their rooms, and shows a refusal as one message instead of a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command by name."""
        return sorted({*super().list_commands(ctx), *ELSEWHERE})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now when it lives elsewhere."""
        if cmd_name in ELSEWHERE:
            module, function = ELSEWHERE[cmd_name].split(":")
            command: click.Command = getattr(import_module(module), function)
            return command
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run it; our own refusals end with exit code 1 and their own words."""
        from portal.embedded.faults import StackError
        from portal.errors import Problem
        from portal.settings import SettingsError

        try:
            return super().invoke(ctx)
        except (StackError, SettingsError, Problem) as refusal:
            click.echo(str(refusal), err=True)
        except UnicodeEncodeError:
            click.echo("What was given is not UTF-8 text.", err=True)
        except Exception as error:
            words = _of_database(error)
            if words is None:
                raise
            click.echo(words, err=True)
        sys.exit(1)


def _of_database(error: Exception) -> str | None:
    """What to do when it is the database that failed a command; None for whatever else it was."""
    from psycopg.errors import InsufficientPrivilege, UndefinedFunction, UndefinedTable
    from sqlalchemy.exc import DBAPIError, OperationalError

    reason = error.orig if isinstance(error, DBAPIError) else None
    if isinstance(reason, (UndefinedTable, UndefinedFunction, InsufficientPrivilege)):
        return "The database was never set up, or not for this release. Run: portal setup"
    if not isinstance(error, OperationalError):
        return None
    return f"The database can't be used: {str(reason).strip().splitlines()[0]}"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Stowage: a self-hosted portal for file assets."""


@main.command()
@click.option("--demo", is_flag=True, help="Add a demo tenant with people and pictures.")
@click.option(
    "--procfile", type=click.Path(dir_okay=False, path_type=Path), help="Run the processes of another Procfile."
)
def up(demo: bool, procfile: Path | None) -> None:
    """Run everything on this machine, in the foreground: engines, web, workers and clock.

    PORTAL_PORT (8000) and PORTAL_DATA_DIR (var/) move it. An engine whose PORTAL_* variable is set is not started.
    """
    from portal.embedded.up import run

    sys.exit(run(demo=demo, procfile=procfile))


@main.command()
def env() -> None:
    """Print the PORTAL_* variables of the running stack, one NAME=value a line."""
    from portal.embedded import state

    for name, value in sorted(state.environment(state.data_folder()).items()):
        click.echo(f"{name}={value}")


@main.command()
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
            # The clock asks again: a store that is away must not keep everything else from starting.
            click.echo(f"The store at {settings.s3_endpoint} can't be prepared yet: {problem.detail}", err=True)
