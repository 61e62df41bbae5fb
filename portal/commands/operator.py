"""``portal operator``: who runs the installation."""

from __future__ import annotations

import click

from portal.commands import application, as_json, report


@click.group()
def operator() -> None:
    """Those who run the installation."""


@operator.command("add")
@click.argument("email")
@as_json
def operator_add(email: str, as_json: bool) -> None:
    """Make somebody an operator."""
    from portal.admin import service

    with application():
        user = service.make_operator(email)
    report(as_json, f"{user.email} is an operator now.", id=user.id, email=user.email, is_operator=True)
