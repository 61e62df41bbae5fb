"""The ``portal`` command. Each command imports what it needs when it runs, so that ``portal env`` stays quick."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

# Loaded when one is called or listed: name -> "module:function".
COMMANDS: dict[str, str] = {
    "demo": "portal.commands.demo:demo",
    "doctor": "portal.commands.doctor:doctor",
    "env": "portal.commands.stack:env",
    "generate": "portal.commands.demo:generate",
    "operator": "portal.commands.operator:operator",
    "periodic-task": "portal.commands.periodic_task:periodic_task",
    "setup": "portal.commands.stack:setup",
    "sweep": "portal.commands.sweep:sweep",
    "tenant": "portal.commands.tenant:tenant",
    "token": "portal.commands.token:token",
    "up": "portal.commands.stack:up",
    "user": "portal.commands.user:user",
    "vault": "portal.commands.vault:vault",
    "workspace": "portal.commands.workspace:workspace",
}


class Commands(click.Group):
    """Finds commands in ``portal.commands``, and prints a refusal as one message instead of a traceback."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command by name."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, imported now when it lives elsewhere."""
        if cmd_name in COMMANDS:
            module, function = COMMANDS[cmd_name].split(":")
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
