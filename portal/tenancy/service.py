"""Commands and queries of tenancy. Commands run inside the caller's transaction and write their audit event with it.

Rows under row-level security are read in the tenant that the session has entered; what must be known before that
(where does this person belong?) comes from two functions of the database that see across tenants.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from flask_babel import gettext as _
from sqlalchemy import String, Uuid, and_, bindparam, func, select, true, tuple_
from sqlalchemy.dialects.postgresql import insert

from portal import audit
from portal.database import db, new_id, now, transaction
from portal.errors import Conflict, Invalid
from portal.identity import sessions
from portal.identity.models import ApiToken, Session, User
from portal.identity.scopes import insufficient
from portal.identity.service import Person, hash_token, person_of_token, touch
from portal.names import checked_label
from portal.tenancy.models import (
    SLUG,
    Plan,
    Tenant,
    TenantRole,
    Workspace,
    WorkspaceRole,
)
from portal.tenancy.permissions import Permission, forbidden, permissions_of, scopes_for
from portal.web.paging import Paging, cut

LONGEST_NAME = 200


@dataclass(frozen=True)
class WorkspacePlace:
    """A workspace that a person is a member of."""

    id: UUID
    slug: str
    name: str
    role: WorkspaceRole


@dataclass(frozen=True)
class TenantPlace:
    """A tenant that a person is a member of, with their workspaces in it, by name."""

    id: UUID
    slug: str
    name: str
    role: TenantRole
    workspaces: list[WorkspacePlace] = field(default_factory=list)


@dataclass(frozen=True)
class Resolved:
    """What a bearer token gives access to: its person, the tenant, and the membership in the requested workspace.

    ``tenant`` is None for a workspace outside their tenants, ``workspace`` when they are no member of it.
    """

    person: Person
    tenant: TenantPlace | None
    workspace: WorkspacePlace | None


@dataclass(frozen=True)
class Member:
    """A person in a tenant, or in the workspace that the URL names, and their permissions."""

    user_id: UUID
    user_name: str
    tenant_id: UUID
    workspace_id: UUID | None = None
    workspace_role: WorkspaceRole | None = None
    tenant_role: TenantRole | None = None
    permissions: frozenset[Permission] = frozenset()
    tenant_slug: str = ""
    tenant_name: str = ""
    workspace_slug: str = ""
    workspace_name: str = ""

    @property
    def workspace(self) -> UUID:
        """The workspace's id, where the address names one."""
        if self.workspace_id is None:
            raise LookupError("this route names no workspace")
        return self.workspace_id

    def require(self, permission: Permission) -> None:
        """For what only a part of a route's uses needs, in a request that changes something. Raises ``Forbidden``."""
        if permission in self.permissions:
            return
        if permission in permissions_of(self.tenant_role, self.workspace_role):
            raise insufficient(scopes_for(permission, "POST")[0])  # their role allows it, their token does not
        raise forbidden(permission)

    def may(self, permission: Permission) -> bool:
        """For what a page shows or leaves out; a route's own right is its mark's."""
        return permission in self.permissions


# A person has no tenant yet, so row-level security would hide everything: functions with the owner's rights answer
# (docs/database-functions.md). The statements are made once, because they run in every request.
_MEMBERSHIP = (
    *("tenant_id", "tenant_slug", "tenant_name", "tenant_role"),
    *("workspace_id", "workspace_slug", "workspace_name", "workspace_role"),
)
_PLACES = select(func.named_memberships_of(bindparam("person", type_=Uuid())).table_valued(*_MEMBERSHIP))
_OF_USER = func.named_memberships_of(User.id).table_valued(*_MEMBERSHIP).lateral("places")
_PERSON_AND_PLACES = (
    select(User.id, User.email, User.name, User.is_operator, User.language)
    .add_columns(Session.id.label("session_id"), Session.last_seen_at, _OF_USER)
    .select_from(Session)
    .join(User, and_(User.id == Session.user_id, User.active))
    .outerjoin(_OF_USER, true())  # somebody may be a member of nothing
    .where(Session.secret_hash == bindparam("hash", type_=String()), *sessions.LIVE)
)
_RESOLVED = func.resolve_member(bindparam("hash", type_=String()), bindparam("workspace", type_=Uuid())).table_valued(
    "token_id", "token_used_at", "user_id", "email", "name", "is_operator", *_MEMBERSHIP
)
_RESOLVE = select(_RESOLVED, ApiToken.scopes, ApiToken.workspace_ids).join(
    ApiToken, ApiToken.id == _RESOLVED.c.token_id
)


def places_of(person_id: UUID) -> list[TenantPlace]:
    """Every tenant and workspace that a person belongs to, by name. One statement."""
    return _places(db.session.execute(_PLACES, {"person": person_id}).all())


def person_and_places(secret: str, address: str) -> tuple[Person, list[TenantPlace]] | None:
    """The person of a session cookie, with their tenants and workspaces: one statement. None when either has ended.

    ``address`` is the client's, stored with the session.
    """
    rows = db.session.execute(_PERSON_AND_PLACES, {"hash": sessions.hash_secret(secret)}).all()
    if not rows:
        return None
    first = rows[0]
    sessions.touch(first.session_id, first.last_seen_at, address)
    person = Person(first.id, first.email, first.name, first.is_operator, first.session_id, first.language)
    return person, _places([row for row in rows if row.tenant_id is not None])


def _places(rows: Sequence[Any]) -> list[TenantPlace]:
    tenants: dict[UUID, TenantPlace] = {}
    for row in rows:
        tenant = tenants.setdefault(
            row.tenant_id, TenantPlace(row.tenant_id, row.tenant_slug, row.tenant_name, TenantRole(row.tenant_role))
        )
        if (workspace := _workspace_place(row)) is not None:
            tenant.workspaces.append(workspace)
    return list(tenants.values())


def record_failed_login(user_id: UUID, network: str, known_device: bool) -> None:
    """Write a wrong password into the audit log of each tenant that the person belongs to."""
    for tenant in places_of(user_id):
        with transaction(tenant.id):
            audit.record(tenant.id, None, "login.failed", user_id, network=network, known_device=known_device)


def resolve(plain_token: str, workspace_id: UUID) -> Resolved | None:
    """The person of a bearer token and their membership in a workspace: one statement. None for an invalid token."""
    row = db.session.execute(_RESOLVE, {"hash": hash_token(plain_token), "workspace": workspace_id}).one_or_none()
    if row is None:
        return None
    touch(row.token_id, row.token_used_at)
    person = person_of_token(row.user_id, row.email, row.name, row.is_operator, row.scopes, row.workspace_ids)
    if row.tenant_id is None:
        return Resolved(person, None, None)
    tenant = TenantPlace(row.tenant_id, row.tenant_slug, row.tenant_name, TenantRole(row.tenant_role))
    return Resolved(person, tenant, _workspace_place(row))


def tenant_of(workspace_id: UUID) -> UUID | None:
    """The tenant that a workspace belongs to."""
    found: UUID | None = db.session.scalar(select(func.tenant_of_workspace(workspace_id)))
    return found


def _workspace_place(row: Any) -> WorkspacePlace | None:
    if row.workspace_id is None or row.workspace_role is None:
        return None
    return WorkspacePlace(row.workspace_id, row.workspace_slug, row.workspace_name, WorkspaceRole(row.workspace_role))


def find_tenant(slug: str) -> Tenant | None:
    """The tenant of this slug."""
    return db.session.scalar(select(Tenant).where(Tenant.slug == slug))


def find_workspace(tenant_id: UUID, slug: str) -> Workspace | None:
    """The workspace of this slug in the entered tenant."""
    return db.session.scalar(select(Workspace).where(Workspace.tenant_id == tenant_id, Workspace.slug == slug))


def workspace(workspace_id: UUID) -> Workspace:
    """A workspace of the entered tenant that the caller's access has found."""
    return db.session.get_one(Workspace, workspace_id)


def list_workspaces(tenant_id: UUID, paging: Paging) -> tuple[Sequence[Workspace], str | None]:
    """One page of the workspaces of a tenant, by name, and the cursor of the next."""
    query = select(Workspace).where(Workspace.tenant_id == tenant_id).order_by(Workspace.name, Workspace.id)
    if (after := paging.after_name()) is not None:
        query = query.where(tuple_(Workspace.name, Workspace.id) > after)
    found = db.session.scalars(query.limit(paging.limit + 1)).all()
    return cut(found, paging, key=lambda workspace: (workspace.name, workspace.id))


def count_workspaces(tenant_id: UUID) -> int:
    """How many workspaces the tenant has."""
    return db.session.scalar(select(func.count()).select_from(Workspace).where(Workspace.tenant_id == tenant_id)) or 0


def plan_code_of(tenant_id: UUID) -> str:
    """The plan of an existing tenant."""
    return db.session.execute(select(Tenant.plan).where(Tenant.id == tenant_id)).scalar_one()


def plan_of(code: str) -> Plan:
    """Raises ``Invalid`` with the plans that there are."""
    plan = db.session.get(Plan, code)
    if plan is None:
        known = ", ".join(db.session.scalars(select(Plan.code).order_by(Plan.limit_bytes.asc().nulls_last())))
        raise Invalid(_("There is no plan %(code)s. Plans are: %(known)s.", code=code, known=known), field="plan")
    return plan


def create_tenant(tenant_id: UUID, slug: str, name: str, plan: Plan) -> Tenant:
    """Add a tenant; the caller's transaction has entered ``tenant_id``. Raises ``Invalid``, ``Conflict``."""
    values = {"id": tenant_id, "slug": checked_slug(slug), "name": checked_name(name), "plan": plan.code}
    insert_once(Tenant, values, _("There is already a tenant %(slug)s.", slug=slug))
    audit.record(tenant_id, None, "tenant.created", tenant_id, slug=slug, plan=plan.code)
    return db.session.get_one(Tenant, tenant_id)


def change_plan(tenant_id: UUID, plan: Plan, actor_id: UUID | None) -> Tenant:
    """Put a tenant on another plan, inside the caller's transaction, which sets its limit, too. Raises ``Conflict``."""
    tenant = db.session.get_one(Tenant, tenant_id, with_for_update={"key_share": True}, populate_existing=True)
    if tenant.plan == plan.code:
        raise Conflict(_("The tenant has this plan already."))
    before, tenant.plan = tenant.plan, plan.code
    audit.record(tenant_id, actor_id, "tenant.plan_changed", tenant_id, plan=plan.code, before=before)
    return tenant


def rename_tenant(tenant_id: UUID, name: str, actor_id: UUID | None) -> Tenant:
    """Give a tenant another name; its slug stays. Raises ``Invalid``."""
    with transaction(tenant_id):
        tenant = db.session.get_one(Tenant, tenant_id, with_for_update={"key_share": True}, populate_existing=True)
        before, tenant.name = tenant.name, checked_name(name)
        audit.record(tenant_id, actor_id, "tenant.renamed", tenant_id, name=tenant.name, before=before)
    return tenant


def create_workspace(tenant_id: UUID, slug: str, name: str, actor_id: UUID | None = None) -> Workspace:
    """Add an empty workspace; ``portal.admin.service.open_workspace`` gives it all that it needs.

    Raises ``Invalid``, ``Conflict``.
    """
    workspace_id = new_id()
    values = {"id": workspace_id, "tenant_id": tenant_id, "slug": checked_slug(slug), "name": checked_name(name)}
    insert_once(Workspace, values, _("There is already a workspace %(slug)s in this tenant.", slug=slug), field="slug")
    audit.record(tenant_id, actor_id, "workspace.created", workspace_id, workspace_id=workspace_id, slug=slug)
    return db.session.get_one(Workspace, workspace_id)


def rename_workspace(member: Member, name: str) -> Workspace:
    """Give a workspace another name; its slug, which is in addresses, stays. Raises ``Invalid``."""
    with transaction(member.tenant_id):
        workspace = db.session.get_one(Workspace, member.workspace, with_for_update=True)
        before, workspace.name = workspace.name, checked_name(name)
        if before != workspace.name:
            facts = {"name": workspace.name, "before": before}
            audit.record(
                member.tenant_id,
                member.user_id,
                "workspace.renamed",
                workspace.id,
                workspace_id=workspace.id,
                **facts,
            )
    return workspace


def suggested_slug(tenant_id: UUID, name: str) -> str:
    """A free slug of the entered tenant that resembles a name: "Presse & Büro" is ``presse-buro``, then ``-2`` …"""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    stem = re.sub("[^a-z0-9]+", "-", plain).strip("-")[:55].strip("-") or "workspace"
    like = select(Workspace.slug).where(Workspace.tenant_id == tenant_id, Workspace.slug.startswith(stem))
    taken = set(db.session.scalars(like))
    numbered = (f"{stem}-{number}" for number in itertools.count(2))
    return stem if stem not in taken else next(each for each in numbered if each not in taken)


def checked_slug(slug: str) -> str:
    """Raises ``Invalid``."""
    if not re.fullmatch(SLUG, slug, re.ASCII):
        detail = _(
            "“%(slug)s” can't be a slug. A slug has up to 63 lower-case letters a-z, digits and hyphens, and begins "
            "with a letter or a digit.",
            slug=slug,
        )
        raise Invalid(detail, field="slug")
    return slug


def checked_name(name: str) -> str:
    """Raises ``Invalid``."""
    return checked_label(name, LONGEST_NAME)


def insert_once(model: Any, values: dict[str, Any], taken: str, **facts: str) -> None:
    """Insert one row, or raise ``Conflict``: a race for the same slug must not end in an error of the database."""
    statement = insert(model).values(created_at=now(), **values).on_conflict_do_nothing().returning(model.id)
    if db.session.scalar(statement) is None:
        raise Conflict(taken, **facts)
