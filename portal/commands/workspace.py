"""``portal workspace``: workspaces and their members."""

from __future__ import annotations

from typing import Any

import click

from portal.commands import application, as_json, report, report_rows
from portal.tenancy.models import WorkspaceRole

WORKSPACE_ROLE = click.Choice([role.value for role in WorkspaceRole])


@click.group()
def workspace() -> None:
    """Places for files."""


class WorkspacePath(click.ParamType[tuple[str, str]]):
    """TENANT/SLUG."""

    name = "tenant/slug"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Split it, or fail with an example."""
        if isinstance(value, tuple):
            return value
        tenant_slug, slash, slug = str(value).partition("/")
        if not (slash and tenant_slug and slug):
            self.fail(f"{value!r} must be written TENANT/SLUG, for example acme/press.", param, ctx)
        return tenant_slug, slug


@workspace.command("create")
@click.argument("place", type=WorkspacePath(), metavar="TENANT/SLUG")
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
    report(as_json, f"Workspace {'/'.join(place)} was created; {owner} owns it.", **facts)


@workspace.command("member")
@click.argument("place", type=WorkspacePath(), metavar="TENANT/SLUG")
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
    report(as_json, f"{email} is {role} of {'/'.join(place)} now{was}.", **facts)


@workspace.command("members")
@click.argument("place", type=WorkspacePath(), metavar="TENANT/SLUG")
@as_json
def workspace_members(place: tuple[str, str], as_json: bool) -> None:
    """List the members of a workspace."""
    from portal.admin import service

    with application():
        found = service.list_members(*place)
    report_rows(
        as_json,
        [
            {
                "user_id": each.user_id,
                "email": each.email,
                "name": each.name,
                "role": each.role,
                "disabled": each.disabled,
            }
            for each in found
        ],
    )


@workspace.command("remove-member")
@click.argument("place", type=WorkspacePath(), metavar="TENANT/SLUG")
@click.argument("email")
@as_json
def workspace_remove_member(place: tuple[str, str], email: str, as_json: bool) -> None:
    """End somebody's membership of a workspace. What they uploaded stays."""
    from portal.admin import service

    with application():
        service.remove_member(*place, email)
    facts = {"workspace": "/".join(place), "email": email}
    report(as_json, f"{email} is no member of {'/'.join(place)} any more.", **facts)
