"""Commands that write the rows of several packages in one transaction: tenants, their people, workspaces."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from flask_babel import gettext as _

from portal.database import enter, new_id, transaction
from portal.errors import Conflict, NotFound
from portal.folders import libraries
from portal.identity import service as identity
from portal.identity.models import ApiToken, User
from portal.identity.scopes import Scope
from portal.mail import service as mail
from portal.people import members
from portal.quotas import limits
from portal.quotas import service as quotas
from portal.quotas.limits import TenantLimit
from portal.storage import service as storage
from portal.tenancy import memberships, people, tokens
from portal.tenancy import service as tenancy
from portal.tenancy.labels import plan_name
from portal.tenancy.models import Tenant, TenantRole, Workspace, WorkspaceRole
from portal.tenancy.people import MemberOfWorkspace, PersonHere
from portal.web.paging import all_pages


@dataclass(frozen=True)
class AddedUser:
    """``is_new`` False: the person existed and was added to the tenant, with the password they had."""

    user: User
    is_new: bool


def open_tenant(slug: str, name: str, plan_code: str) -> Tenant:
    """Create a tenant with its plan's limit. Raises ``Invalid``, ``Conflict``."""
    tenant_id = new_id()
    with transaction(tenant_id):
        plan = tenancy.plan_of(plan_code)
        tenant = tenancy.create_tenant(tenant_id, slug, name, plan)
        quotas.open_tenant(tenant_id, plan.limit_bytes)
    return tenant


def change_plan(slug: str, plan_code: str, actor_id: UUID | None = None) -> Tenant:
    """Put a tenant on another plan with its limit, in one transaction; its administrators get an e-mail.

    What is above a smaller limit stays, and nothing more fits. Raises ``NotFound``, ``Invalid``, ``Conflict``.
    """
    tenant_id = require_tenant(slug).id
    with transaction(tenant_id):
        plan = tenancy.plan_of(plan_code)
        tenant = tenancy.change_plan(tenant_id, plan, actor_id)
        limits.follow_plan(tenant_id, plan.limit_bytes)
        mail.enqueue(
            "plan_changed",
            people.admins_of(tenant_id),
            tenant_id,
            tenant_name=tenant.name,
            plan=plan_name(plan.code),
            limit_bytes=plan.limit_bytes,
            path=f"/t/{slug}/overview",
        )
    return tenant


def rename_tenant(slug: str, name: str) -> Tenant:
    """Give a tenant another name. Raises ``NotFound``, ``Invalid``."""
    return tenancy.rename_tenant(require_tenant(slug).id, name, None)


def add_user(tenant_slug: str, email: str, role: TenantRole, password: str | None, *, name: str = "") -> AddedUser:
    """Make a person a member of a tenant; an unknown person gets an account with ``password``.

    Raises ``NotFound``, ``Invalid`` for a bad address or password, ``Conflict`` for a person who is already a member.
    """
    tenant = require_tenant(tenant_slug)
    with transaction(tenant.id):
        user = identity.find_user(identity.normal_email(email))
        is_new = user is None
        if user is None:
            user = identity.create_user(email, password or "", name=name)
        memberships.add_to_tenant(tenant.id, user.id, role, None)
    return AddedUser(user, is_new)


def is_new(email: str) -> bool:
    """Whether nobody has this e-mail address yet."""
    return identity.find_user(email) is None


def open_workspace(
    tenant_slug: str,
    slug: str,
    name: str,
    owner_email: str,
    *,
    limit_bytes: int | None = None,
    actor_id: UUID | None = None,
) -> Workspace:
    """Create a workspace with its owner, its quota, its storage profile and the library "Files".

    ``slug`` empty: one that resembles the name. ``limit_bytes`` None: no limit of its own. Raises ``NotFound``,
    ``Invalid`` and ``Conflict``, with the field.
    """
    tenant = require_tenant(tenant_slug)
    with transaction(tenant.id) as session:
        owner = identity.find_user(owner_email)
        # The same answer for who has no account: an administrator does not learn who has one elsewhere.
        if owner is None or not people.is_in_tenant(tenant.id, owner.id):
            detail = _(
                "%(email)s is no member of this tenant. Take somebody who is, or add them first.", email=owner_email
            )
            raise Conflict(detail, field="owner_email")
        slug = slug or tenancy.suggested_slug(tenant.id, name)
        workspace = tenancy.create_workspace(tenant.id, slug, name, actor_id)
        memberships.set_workspace_role(tenant.id, workspace.id, owner.id, WorkspaceRole.OWNER, actor_id)
        quotas.open_workspace(tenant.id, workspace.id, limit_bytes)
        storage.open_managed_profile(tenant.id, workspace.id)
        session.flush()
        libraries.open_library(tenant.id, workspace.id)
    return workspace


def set_member(tenant_slug: str, slug: str, email: str, role: WorkspaceRole) -> WorkspaceRole | None:
    """Make a person a member of a workspace, or change their role; returns the role they had before."""
    tenant, user = require_tenant(tenant_slug), require_user(email)
    workspace_id = require_workspace(tenant, slug).id
    with transaction(tenant.id):
        return memberships.set_workspace_role(tenant.id, workspace_id, user.id, role, None)


def list_members(tenant_slug: str, slug: str) -> list[MemberOfWorkspace]:
    """Everybody in a workspace, by name. Raises ``NotFound``."""
    workspace_id = require_workspace(require_tenant(tenant_slug), slug).id
    return list(all_pages(lambda paging: people.list_members(workspace_id, paging)))


def remove_member(tenant_slug: str, slug: str, email: str) -> None:
    """End a membership. Raises ``NotFound``, and ``Conflict`` for the only owner."""
    tenant, user = require_tenant(tenant_slug), require_user(email)
    members.remove(tenant.id, require_workspace(tenant, slug).id, user.id, None)


def list_people(tenant_slug: str) -> list[PersonHere]:
    """Everybody in a tenant, by name. Raises ``NotFound``."""
    tenant_id = require_tenant(tenant_slug).id
    enter(tenant_id)
    return list(all_pages(lambda paging: people.list_people(tenant_id, paging)))


def change_person(
    tenant_slug: str, email: str, *, role: TenantRole | None = None, disabled: bool | None = None
) -> None:
    """Change somebody's role in a tenant, or disable or enable them there. Raises ``NotFound``, ``Conflict``."""
    user_id = require_user(email).id
    members.change_person(require_tenant(tenant_slug).id, user_id, None, role=role, disabled=disabled)


def remove_person(tenant_slug: str, email: str) -> None:
    """End every membership of somebody in a tenant. Raises ``NotFound``, ``Conflict``."""
    user_id = require_user(email).id
    members.remove_person(require_tenant(tenant_slug).id, user_id, None)


def rename_user(email: str, name: str) -> str:
    """Give somebody another name; as it is stored. Raises ``NotFound``, ``Invalid``."""
    return identity.rename(require_user(email).id, name)


def make_operator(email: str) -> User:
    """Make a person an operator. Raises ``NotFound``, ``Conflict``."""
    user_id = require_user(email).id
    with transaction() as session:
        user = session.get_one(User, user_id)
        identity.make_operator(user)
    return user


def reset_password(email: str, password: str) -> tuple[int, int]:
    """Another password for somebody; gives how many sessions and tokens ended. Raises ``NotFound``, ``Invalid``."""
    return identity.reset_password(require_user(email), password)


def create_token(
    email: str, name: str, days: int | None, scopes: Collection[Scope], places: Collection[str]
) -> tuple[ApiToken, str]:
    """A token that acts for somebody, and the token itself, which is seen this once.

    ``places``: the workspaces that it is for, as TENANT/SLUG; none: all of the person's.
    Raises ``NotFound``, ``Invalid``.
    """
    user = require_user(email)
    found = [_workspace_of(user, place) for place in places] or None
    return tokens.create(user.id, tokens.WantedToken(name, days, scopes, found))


def _workspace_of(user: User, place: str) -> UUID:
    tenant_slug, _slash, slug = place.partition("/")
    for tenant in tenancy.places_of(user.id):
        for workspace in tenant.workspaces:
            if (tenant.slug, workspace.slug) == (tenant_slug, slug):
                return workspace.id
    raise NotFound(_("%(email)s is no member of a workspace %(place)s.", email=user.email, place=place))


def override_quota(slug: str, limit_bytes: int | None, last_day: date) -> datetime:
    """Give a tenant another limit, ``last_day`` (UTC) included; returns when the plan's limit applies again.

    Raises ``NotFound``, ``Invalid``.
    """
    until = datetime.combine(last_day + timedelta(days=1), time(), UTC)
    limits.override(require_tenant(slug).id, limit_bytes, until, None)
    return until


def end_override(slug: str) -> None:
    """End the temporary limit of a tenant. Raises ``NotFound``."""
    limits.end_override(require_tenant(slug).id, None)


def tenant_limit(slug: str) -> TenantLimit:
    """The limit that applies to a tenant. Raises ``NotFound``."""
    tenant = require_tenant(slug)
    enter(tenant.id)
    return limits.of_tenant(tenant.id)


def require_user(email: str) -> User:
    """Raises ``NotFound``."""
    user = identity.find_user(email)
    if user is None:
        raise NotFound(
            _(
                "There is no user %(email)s. Create one: portal user create EMAIL --tenant SLUG --role member",
                email=email,
            )
        )
    return user


def require_tenant(slug: str) -> Tenant:
    """Raises ``NotFound``."""
    tenant = tenancy.find_tenant(slug)
    if tenant is None:
        raise NotFound(
            _(
                "There is no tenant %(slug)s. Create one: portal tenant create %(slug)s --name NAME --plan free",
                slug=slug,
            )
        )
    return tenant


def require_workspace(tenant: Tenant, slug: str) -> Workspace:
    """Raises ``NotFound``."""
    enter(tenant.id)
    workspace = tenancy.find_workspace(tenant.id, slug)
    if workspace is None:
        raise NotFound(
            _(
                "There is no workspace %(tenant)s/%(workspace)s. Create one: portal workspace create",
                tenant=tenant.slug,
                workspace=slug,
            )
        )
    return workspace
