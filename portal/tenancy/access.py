"""Where a request goes, and whether it may: the marks ``member(P)`` and ``tenant(P)``.

A mark takes the place out of the address and gives the view keyword ``member`` instead. The place is named by
``w`` (a workspace's id) or ``t`` (a tenant's id) in ``/v1``, by ``tenant_slug`` and ``workspace_slug`` in pages.

- ``member(P)`` is for what lies in a workspace. No such workspace, another tenant's, or one that the person is no
  member of: the same 404. A member without P: 403. An admin of the tenant gets through where P is theirs by that role.
- ``tenant(P)`` is for the tenant; where the address names a workspace, for what the tenant decides about it.

An API token narrows this: a workspace that it was not made for is as good as foreign (404), a scope that it lacks is
403 ``insufficient_scope``.

From here on the session sees this tenant's rows only. Where an operator has made it read-only, whatever changes
something is refused with the reason, and pages offer nothing that would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import wraps
from typing import Any
from uuid import UUID

from flask import Flask, g, request, session
from flask_babel import gettext as _

from portal.database import enter
from portal.errors import NotFound
from portal.identity.access import person, remember_person, unauthenticated
from portal.identity.scopes import insufficient, too_narrow
from portal.identity.service import Person
from portal.tenancy import service, switches
from portal.tenancy.models import TenantRole
from portal.tenancy.permissions import READING, Permission, forbidden, permissions_of, scopes_for, within_scopes
from portal.tenancy.service import Member, TenantPlace, WorkspacePlace
from portal.web.access import AccessMark, View, put_mark
from portal.web.csrf import bearer_token
from portal.web.problems import speaks_json
from portal.web.rate_limits import address, count_api_request

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
PLACE_NAMES = ("w", "t", "tenant_slug", "workspace_slug")


def member(permission: Permission) -> Callable[[View], View]:
    """Members of the workspace in the address who have ``permission`` there."""
    return _mark("member", permission)


def tenant(permission: Permission) -> Callable[[View], View]:
    """Members of the tenant who have ``permission`` there (admins, as things are)."""
    return _mark("tenant", permission)


def current_member() -> Member | None:
    """The member of this request, for the frame of the page; views get theirs as an argument."""
    found: Member | None = g.get("member")
    return found


def current_places() -> list[TenantPlace]:
    """The tenants and workspaces of the person, as far as their token allows; read once per request."""
    if "places" not in g:
        g.places = _within(person().workspace_ids, service.places_of(person().id))
    places: list[TenantPlace] = g.places
    return places


def find_by_session(secret: str) -> Person | None:
    """The person of a session cookie. Their memberships come with the same statement and are cached for the request."""
    found = service.person_and_places(secret, address())
    if found is None:
        return None
    g.places = found[1]
    return found[0]


def last_workspace() -> UUID | None:
    """The workspace whose pages this browser saw last."""
    seen = session.get("workspace")
    return UUID(seen) if isinstance(seen, str) else None


def _mark(kind: Any, permission: Permission) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def run(**arguments: Any) -> Any:
            place = {name: arguments.pop(name) for name in PLACE_NAMES if name in arguments}
            found = _resolve(place)
            if speaks_json():
                count_api_request("tenant", found.tenant_id)
            if permission not in found.permissions:
                raise _nothing() if _is_invisible(place, found) else forbidden(permission)
            found = _narrow(found, permission)
            if closed := switches.read_only(found.tenant_id):
                if request.method not in SAFE_METHODS:
                    raise switches.refusal(closed)
                found = replace(found, permissions=found.permissions & READING)
            g.member = found
            enter(found.tenant_id)
            if "workspace_slug" in place and session.get("workspace") != str(found.workspace_id):
                session["workspace"] = str(found.workspace_id)
            return view(member=found, **arguments)

        return put_mark(run, AccessMark(kind, permission))

    return decorate


def _narrow(found: Member, permission: Permission) -> Member:
    """With what the request's token allows of what the person may do. Raises ``Forbidden``."""
    who = person()
    if found.workspace_id is None and who.workspace_ids is not None:
        raise too_narrow()
    left = within_scopes(found.permissions, who.scopes, request.method)
    if permission not in left:
        raise insufficient(scopes_for(permission, request.method)[0])
    return replace(found, permissions=left)


def _within(workspace_ids: frozenset[UUID] | None, places: list[TenantPlace]) -> list[TenantPlace]:
    """These places without the workspaces that a token is not for, and without tenants where none is left."""
    if workspace_ids is None:
        return places
    left = [replace(each, workspaces=[w for w in each.workspaces if w.id in workspace_ids]) for each in places]
    return [each for each in left if each.workspaces]


def _is_invisible(place: dict[str, Any], found: Member) -> bool:
    return ("w" in place or "workspace_slug" in place) and found.workspace_role is None


def _resolve(place: dict[str, Any]) -> Member:
    """The member at the place that the address names. Raises 401, 404."""
    token = bearer_token()
    if token is not None and "w" in place and "person" not in g:
        return _resolve_token(token, place["w"])
    person()
    if "w" in place:
        return _at_workspace_id(place["w"])
    found = next(
        (each for each in current_places() if each.id == place.get("t") or each.slug == place.get("tenant_slug")), None
    )
    if found is None:
        raise _nothing()
    return _at_slug(found, place["workspace_slug"]) if "workspace_slug" in place else _member(found, None)


def _resolve_token(token: str, workspace_id: UUID) -> Member:
    resolved = service.resolve(token, workspace_id)
    if resolved is None:
        raise unauthenticated()
    remember_person(resolved.person)
    if resolved.tenant is None or not _is_for(workspace_id):
        raise _nothing()
    return _member(resolved.tenant, resolved.workspace, workspace_id)


def _is_for(workspace_id: UUID) -> bool:
    """Whether the request's token, if there is one, was made for this workspace."""
    allowed = person().workspace_ids
    return allowed is None or workspace_id in allowed


def _at_workspace_id(workspace_id: UUID) -> Member:
    if not _is_for(workspace_id):
        raise _nothing()
    for each in current_places():
        for workspace in each.workspaces:
            if workspace.id == workspace_id:
                return _member(each, workspace)
    tenant_id = service.tenant_of(workspace_id)
    found = next((each for each in current_places() if each.id == tenant_id), None)
    if found is None:
        raise _nothing()
    return _member(found, None, workspace_id)


def _at_slug(found: TenantPlace, slug: str) -> Member:
    for workspace in found.workspaces:
        if workspace.slug == slug:
            return _member(found, workspace)
    if found.role is not TenantRole.ADMIN:
        raise _nothing()
    enter(found.id)
    hidden = service.find_workspace(found.id, slug)
    if hidden is None:
        raise _nothing()
    return replace(_member(found, None, hidden.id), workspace_slug=hidden.slug, workspace_name=hidden.name)


def _member(found: TenantPlace, workspace: WorkspacePlace | None, workspace_id: UUID | None = None) -> Member:
    who = person()
    return Member(
        user_id=who.id,
        user_name=who.shown_name,
        tenant_id=found.id,
        workspace_id=workspace.id if workspace else workspace_id,
        workspace_role=workspace.role if workspace else None,
        tenant_role=found.role,
        permissions=permissions_of(found.role, workspace.role if workspace else None),
        tenant_slug=found.slug,
        tenant_name=found.name,
        workspace_slug=workspace.slug if workspace else "",
        workspace_name=workspace.name if workspace else "",
    )


def _nothing() -> NotFound:
    return NotFound(_("There is nothing at this address, or you are not a member of this workspace or tenant."))


def _uuid(value: Any) -> UUID:
    return value if isinstance(value, UUID) else UUID(str(value))


def install(app: Flask) -> None:
    """Let ``url_for("library.index", workspace_id=…)`` build addresses with slugs: pages know places by their id."""

    def use_slugs(endpoint: str, values: dict[str, Any]) -> None:
        expects = app.url_map.is_endpoint_expecting
        if "workspace_id" in values and expects(endpoint, "workspace_slug"):
            wanted = _uuid(values.pop("workspace_id"))
            here = current_member()
            if here is not None and here.workspace_id == wanted and here.workspace_slug:
                values.update(tenant_slug=here.tenant_slug, workspace_slug=here.workspace_slug)
                return
            for each in current_places():
                for workspace in each.workspaces:
                    if workspace.id == wanted:
                        values.update(tenant_slug=each.slug, workspace_slug=workspace.slug)
        elif "tenant_id" in values and expects(endpoint, "tenant_slug"):
            wanted = _uuid(values.pop("tenant_id"))
            values["tenant_slug"] = next(each.slug for each in current_places() if each.id == wanted)

    app.url_defaults(use_slugs)
