"""``portal tenant``: companies and their limits."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from click.core import ParameterSource

from portal.commands import application, as_json, report, report_rows
from portal.tenancy.models import TenantRole


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
    report(as_json, f"Tenant {slug} was created.", id=made.id, slug=made.slug, name=made.name, plan=made.plan)


@tenant.command("plan")
@click.argument("slug")
@click.argument("plan", type=click.Choice(["free", "basic", "pro", "enterprise"]))
@as_json
def tenant_plan(slug: str, plan: str, as_json: bool) -> None:
    """Put a tenant on another plan, with its limit. Administrators get an e-mail."""
    from portal.admin import service

    with application():
        changed = service.change_plan(slug, plan)
        limit = service.tenant_limit(slug).plan_bytes
    report(as_json, f"{slug} has the plan {changed.plan} now.", slug=slug, plan=changed.plan, limit_bytes=limit)


@tenant.command("rename")
@click.argument("slug")
@click.argument("name")
@as_json
def tenant_rename(slug: str, name: str, as_json: bool) -> None:
    """Give a tenant another name; its slug, which is in addresses, stays."""
    from portal.admin import service

    with application():
        renamed = service.rename_tenant(slug, name)
    report(as_json, f"{slug} is called {renamed.name} now.", slug=slug, name=renamed.name)


@tenant.command("people")
@click.argument("slug")
@as_json
def tenant_people(slug: str, as_json: bool) -> None:
    """List the people of a tenant."""
    from portal.admin import service

    with application():
        found = service.list_people(slug)
    report_rows(
        as_json,
        [
            {
                "user_id": each.id,
                "email": each.email,
                "name": each.name,
                "role": each.role,
                "disabled": each.disabled_at is not None,
            }
            for each in found
        ],
    )


@tenant.command("member")
@click.argument("slug")
@click.argument("email")
@click.argument("role", type=click.Choice([role.value for role in TenantRole]))
@as_json
def tenant_member(slug: str, email: str, role: str, as_json: bool) -> None:
    """Change somebody's role in a tenant."""
    from portal.admin import service

    with application():
        service.change_person(slug, email, role=TenantRole(role))
    report(as_json, f"{email} is {role} of {slug} now.", tenant=slug, email=email, role=role)


@tenant.command("disable")
@click.argument("slug")
@click.argument("email")
@as_json
def tenant_disable(slug: str, email: str, as_json: bool) -> None:
    """Let somebody do nothing in a tenant, at once. Their account and other tenants are not concerned."""
    from portal.admin import service

    with application():
        service.change_person(slug, email, disabled=True)
    report(as_json, f"{email} can do nothing in {slug} any more.", tenant=slug, email=email, disabled=True)


@tenant.command("enable")
@click.argument("slug")
@click.argument("email")
@as_json
def tenant_enable(slug: str, email: str, as_json: bool) -> None:
    """Let a disabled person work in a tenant again."""
    from portal.admin import service

    with application():
        service.change_person(slug, email, disabled=False)
    report(as_json, f"{email} can work in {slug} again.", tenant=slug, email=email, disabled=False)


@tenant.command("remove-member")
@click.argument("slug")
@click.argument("email")
@as_json
def tenant_remove_member(slug: str, email: str, as_json: bool) -> None:
    """Remove somebody from a tenant and its workspaces. What they uploaded stays."""
    from portal.admin import service

    with application():
        service.remove_person(slug, email)
    report(as_json, f"{email} is no member of {slug} any more.", tenant=slug, email=email)


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
    from portal.sizes import format_size

    given = click.get_current_context().get_parameter_source("limit") is not ParameterSource.DEFAULT
    if given != (until is not None) or (given and plan):
        raise click.UsageError("Give --bytes together with --until, or --plan alone, or neither to show the limit.")
    with application():
        if until is not None:
            service.override_quota(slug, limit, until.date())
        elif plan:
            service.end_override(slug)
        now = service.tenant_limit(slug)
    limit_text = "and has no limit" if now.limit_bytes is None else f"of {format_size(now.limit_bytes)}"
    end = f" until {now.override_until:%Y-%m-%d %H:%M} UTC" if now.override_until else ", as its plan says"
    report(as_json, f"{slug} uses {format_size(now.used_bytes)} {limit_text}{end}.", **asdict(now))
