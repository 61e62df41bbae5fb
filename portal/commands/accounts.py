"""Commands for tenants, people, workspaces and tokens. Each does one thing and says what; exit 1 when it could not.

``--json`` prints the result as one JSON object instead of a sentence.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from click.core import ParameterSource

from portal.tenancy.models import TenantRole, WorkspaceRole

as_json = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
TENANT_ROLE = click.Choice([role.value for role in TenantRole])
WORKSPACE_ROLE = click.Choice([role.value for role in WorkspaceRole])


@contextmanager
def application() -> Iterator[None]:
    """The application of this environment, or of the running embedded stack."""
    from portal import embedded
    from portal.app import create_app
    from portal.database import db, leave

    with create_app(embedded.discover()).app_context():
        try:
            yield
        finally:
            leave()
            db.engine.dispose()


def tell(as_json: bool, words: str, **facts: Any) -> None:
    """Say what was done, to a person or a script."""
    click.echo(json.dumps(facts, default=str) if as_json else words)


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
    tell(as_json, f"{user.email} is an operator now.", id=user.id, email=user.email, is_operator=True)


@click.group()
def tenant() -> None:
    """Companies."""


@tenant.command("create")
@click.argument("slug")
@click.option("--name", required=True)
@click.option("--plan", required=True, type=click.Choice(["free", "basic", "pro", "enterprise"]))
@as_json
def tenant_create(slug: str, name: str, plan: str, as_json: bool) -> None:
    """Add a tenant."""
    from portal.admin import service

    with application():
        made = service.open_tenant(slug, name, plan)
    tell(as_json, f"Tenant {slug} was created.", id=made.id, slug=made.slug, name=made.name, plan=made.plan)


class Size(click.ParamType[int | None]):
    """A size with a unit, or "none"."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Read it, or complain."""
        from portal import sizes
        from portal.errors import Invalid

        try:
            return sizes.parse(str(value))
        except Invalid as refusal:
            self.fail(refusal.detail, param, ctx)


@tenant.command("quota")
@click.argument("slug")
@click.option("--bytes", "limit", type=Size(), metavar="SIZE", help="Another limit than the plan's: 20GB, or none.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), metavar="DATE", help="The last day (UTC) that it holds.")
@click.option("--plan", is_flag=True, help="Let the plan's limit hold again, now.")
@as_json
def tenant_quota(slug: str, limit: int | None, until: datetime | None, plan: bool, as_json: bool) -> None:
    """Show how full a tenant is, or let another limit than its plan's hold until a day."""
    from portal.admin import service
    from portal.sizes import in_words

    given = click.get_current_context().get_parameter_source("limit") is not ParameterSource.DEFAULT
    if given != (until is not None) or (given and plan):
        raise click.UsageError("Give --bytes together with --until, or --plan alone, or nothing to look.")
    with application():
        if until is not None:
            service.override_quota(slug, limit, until.date())
        elif plan:
            service.end_override(slug)
        now = service.tenant_limit(slug)
    held = "and has no limit" if now.limit_bytes is None else f"of {in_words(now.limit_bytes)}"
    end = f" until {now.override_until:%Y-%m-%d %H:%M} UTC" if now.override_until else ", as its plan says"
    tell(as_json, f"{slug} uses {in_words(now.used_bytes)} {held}{end}.", **asdict(now))


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
    tell(as_json, f"{added.user.email} {what} and is {role} of {tenant_slug}.", **facts, created=added.is_new)


@click.group()
def workspace() -> None:
    """Places for files."""


class Place(click.ParamType[tuple[str, str]]):
    """TENANT/SLUG."""

    name = "tenant/slug"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split, or complain."""
        if isinstance(value, tuple):
            return value
        tenant_slug, slash, slug = str(value).partition("/")
        if not (slash and tenant_slug and slug):
            self.fail(f"{value!r} must be written TENANT/SLUG, for example acme/press.", param, ctx)
        return tenant_slug, slug


@workspace.command("create")
@click.argument("place", type=Place(), metavar="TENANT/SLUG")
@click.option("--name", required=True)
@click.option("--owner", required=True, metavar="EMAIL")
@click.option("--quota", type=click.IntRange(min=0), metavar="BYTES", help="Without it: no limit of its own.")
@as_json
def workspace_create(place: tuple[str, str], name: str, owner: str, quota: int | None, as_json: bool) -> None:
    """Add a workspace."""
    from portal.admin import service

    with application():
        made = service.open_workspace(*place, name, owner, limit_bytes=quota)
    facts = {"id": made.id, "tenant_id": made.tenant_id, "slug": made.slug, "name": made.name, "limit_bytes": quota}
    tell(as_json, f"Workspace {'/'.join(place)} was created; {owner} owns it.", **facts)


@workspace.command("member")
@click.argument("place", type=Place(), metavar="TENANT/SLUG")
@click.argument("email")
@click.argument("role", type=WORKSPACE_ROLE)
@as_json
def workspace_member(place: tuple[str, str], email: str, role: str, as_json: bool) -> None:
    """Make somebody a member of a workspace, or change their role."""
    from portal.admin import service

    with application():
        before = service.set_member(*place, email, WorkspaceRole(role))
    was = f" (was {before})" if before else ""
    facts = {"workspace": "/".join(place), "email": email, "role": role, "before": before}
    tell(as_json, f"{email} is {role} of {'/'.join(place)} now{was}.", **facts)


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
    tell(as_json, plain, token=plain, name=name, email=email, days=days)


@click.group()
def vault() -> None:
    """The keys that seal customers' credentials."""


@vault.command("rotate")
@as_json
def vault_rotate(as_json: bool) -> None:
    """Seal all credentials with the newest key of PORTAL_VAULT_KEYS, while everything runs. Safe to repeat."""
    from portal.storage import vault_rotation
    from portal.webhooks import secrets

    with application():
        done = vault_rotation.rotate(secrets.rewrap)
    words = f"{done.rewrapped} sealed with the newest key, {done.current} were before."
    if done.closed:
        words += (
            f" {done.closed} open with none of the keys: keep the older keys, or have their owners enter them again."
        )
    tell(as_json, words, **asdict(done))
    if done.closed:
        sys.exit(1)
