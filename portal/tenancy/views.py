"""Pages of tenancy: where to go."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from portal.identity.access import signed_in
from portal.identity.service import Person
from portal.tenancy.access import current_places, last_workspace

blueprint = Blueprint("workspaces", __name__)


@blueprint.get("/")
@signed_in
def home(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """To the workspace where somebody was last, or the only one; else to the choice."""
    mine = [workspace.id for tenant in current_places() for workspace in tenant.workspaces]
    last = last_workspace()
    target = last if last in mine else mine[0] if len(mine) == 1 else None
    if target is None:
        return redirect(url_for("workspaces.index"))
    return redirect(url_for("library.index", workspace_id=target))


@blueprint.get("/workspaces")
@signed_in
def index(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """All tenants and workspaces of a person."""
    return render_template("workspaces/index.html", tenants=current_places())
