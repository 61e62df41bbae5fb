"""``portal token``: API tokens."""

from __future__ import annotations

import click

from portal.commands import application, as_json, report


@click.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.argument("email")
@click.option("--name", required=True, help="What will use it.")
@click.option("--days", type=click.IntRange(min=1), help="After that many days it stops working; without it never.")
@as_json
def token_create(email: str, name: str, days: int | None, as_json: bool) -> None:
    """Print a new token. It acts for that person in all their tenants, and is never shown again."""
    from portal.admin import service

    with application():
        plain = service.create_token(email, name, days)
    report(as_json, plain, token=plain, name=name, email=email, days=days)
