"""``portal token``: API tokens."""

from __future__ import annotations

import click

from portal.commands import application, as_json, report
from portal.database import zulu
from portal.identity.scopes import Scope

SCOPE = click.Choice([scope.value for scope in Scope])


@click.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What will use it.")
@click.option("--days", type=click.IntRange(min=1), help="After that many days it stops working; without it a year.")
@click.option("--scope", "scopes", multiple=True, type=SCOPE, help="What it may do; repeatable. Without it everything.")
@click.option(
    "--workspace",
    "places",
    multiple=True,
    metavar="TENANT/SLUG",
    help="Where it works; repeatable. Without it everywhere.",
)
@as_json
def token_create(
    email: str, name: str, days: int | None, scopes: tuple[str, ...], places: tuple[str, ...], as_json: bool
) -> None:
    """Print a new token, which is never shown again. It acts for that person, who gets an e-mail about it."""
    from portal.admin import service

    chosen = [Scope(each) for each in scopes] or list(Scope)
    with application():
        row, plain = service.create_token(email, name, days, chosen, places)
    report(
        as_json,
        plain,
        token=plain,
        name=name,
        email=email,
        days=days,
        scopes=row.scopes,
        workspace_ids=row.workspace_ids,
        expires_at=zulu(row.expires_at) if row.expires_at else None,
    )
