"""``portal user``: people."""

from __future__ import annotations

import sys

import click

from portal.commands import application, as_json, report
from portal.tenancy.models import TenantRole

TENANT_ROLE = click.Choice([role.value for role in TenantRole])


@click.group()
def user() -> None:
    """People."""


@user.command("create")
@click.argument("email")
@click.option("--tenant", "tenant_slug", required=True, metavar="SLUG")
@click.option("--role", required=True, type=TENANT_ROLE)
@click.option("--name", default="", help="What others see; without it the address.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input: its first line.")
@as_json
def user_create(email: str, tenant_slug: str, role: str, name: str, password_stdin: bool, as_json: bool) -> None:
    """Add somebody to a tenant. Who exists already keeps their password."""
    from portal.admin import service

    password = sys.stdin.readline().rstrip("\r\n") if password_stdin else None
    with application():
        if password is None and service.is_new(email):
            raise click.ClickException("A new user needs a password: give it on standard input, with --password-stdin.")
        added = service.add_user(tenant_slug, email, TenantRole(role), password, name=name)
    what = "was created" if added.is_new else "existed already, keeps the password they have,"
    facts = {"id": added.user.id, "email": added.user.email, "tenant": tenant_slug, "role": role}
    report(as_json, f"{added.user.email} {what} and is {role} of {tenant_slug}.", **facts, created=added.is_new)


@user.command("password")
@click.argument("email")
@click.option("--password-stdin", is_flag=True, required=True, help="Read it from standard input: its first line.")
@as_json
def user_password(email: str, password_stdin: bool, as_json: bool) -> None:  # noqa: ARG001  # there is no other way
    """Give somebody another password. All their sessions end, and their API tokens are revoked."""
    from portal.admin import service

    password = sys.stdin.readline().rstrip("\r\n")
    with application():
        sessions, tokens = service.reset_password(email, password)
    sentence = f"{email} has another password; {sessions} sessions were ended and {tokens} API tokens revoked."
    report(as_json, sentence, email=email, sessions=sessions, tokens=tokens)


@user.command("rename")
@click.argument("email")
@click.argument("name")
@as_json
def user_rename(email: str, name: str, as_json: bool) -> None:
    """Give somebody another name, which is what others see."""
    from portal.admin import service

    with application():
        stored = service.rename_user(email, name)
    report(as_json, f"{email} is called {stored} now.", email=email, name=stored)
