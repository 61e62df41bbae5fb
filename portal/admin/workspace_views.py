"""Pages of workspaces: a new one, for administrators of the tenant, and the settings of one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal import sizes
from portal.admin import service
from portal.admin.forms import NewWorkspaceForm, WorkspaceNameForm
from portal.errors import Conflict, Invalid
from portal.identity.access import person
from portal.tenancy import service as tenancy
from portal.tenancy.access import member, tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member

blueprint = Blueprint("workspace_settings", __name__)
SETTINGS = "/t/<tenant_slug>/w/<workspace_slug>/settings"


@blueprint.get("/t/<tenant_slug>/workspaces/new")
@tenant(Permission.CREATE_WORKSPACE)
def new(member: Member) -> ResponseReturnValue:
    """The empty form."""
    form = NewWorkspaceForm(formdata=None, owner_email=person().email)
    return render_template("workspaces/new.html", member=member, form=form)


@blueprint.post("/t/<tenant_slug>/workspaces/new")
@tenant(Permission.CREATE_WORKSPACE)
def create(member: Member) -> ResponseReturnValue:
    """Create a workspace."""
    form = NewWorkspaceForm()
    if form.validate_on_submit():
        try:
            workspace = service.open_workspace(
                member.tenant_slug,
                (form.slug.data or "").strip(),
                form.name.data,
                form.owner_email.data,
                limit_bytes=sizes.parse(form.limit.data) if form.limit.data else None,
                actor_id=member.user_id,
            )
        except (Conflict, Invalid) as problem:
            form.show_refusal(problem)
        else:
            flash(_("The workspace “%(name)s” was created.", name=workspace.name), "success")
            # The next step is to invite people.
            members = url_for("members.index", tenant_slug=member.tenant_slug, workspace_slug=workspace.slug)
            return redirect(members, 303)
    return render_template("workspaces/new.html", member=member, form=form), 422


@blueprint.get(SETTINGS)
@member(Permission.CONFIGURE_WORKSPACE)
def show(member: Member) -> ResponseReturnValue:
    """The settings."""
    form = WorkspaceNameForm(formdata=None, name=member.workspace_name)
    return render_template("workspaces/settings.html", member=member, form=form)


@blueprint.post(SETTINGS)
@member(Permission.CONFIGURE_WORKSPACE)
def save(member: Member) -> ResponseReturnValue:
    """Save them."""
    form = WorkspaceNameForm()
    if form.validate_on_submit():
        try:
            tenancy.rename_workspace(member, form.name.data)
        except Invalid as problem:
            form.show_refusal(problem)
        else:
            flash(_("The settings were saved."), "success")
            return redirect(url_for(".show", workspace_id=member.workspace), 303)
    return render_template("workspaces/settings.html", member=member, form=form), 422
