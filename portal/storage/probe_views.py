"""The fragment of a storage profile's page that shows its test, and asks for itself while it runs."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.database import transaction
from portal.storage import probe_runs
from portal.storage.models import StorageProfile
from portal.storage.service import find_unretired
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.pages import is_fragment_wanted

HERE = "/t/<tenant_slug>/w/<workspace_slug>/storage/<uuid:profile_id>"

blueprint = Blueprint("probe", __name__)


@blueprint.get(f"{HERE}/test")
@member(Permission.MANAGE_STORAGE)
def steps(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """What is known so far."""
    profile = find_unretired(member.workspace, profile_id)
    if not is_fragment_wanted():
        return _to_page(profile)
    poll, test = request.args.get("poll", 0, int), probe_runs.shown(profile)
    answer = make_response(render_template("storage/_probe.html", test=test, profile=profile, poll=poll))
    if poll and not test.running:
        answer.headers["HX-Refresh"] = "true"  # what else the page tells of the storage has changed, too
    return answer


@blueprint.post(f"{HERE}/test")
@member(Permission.MANAGE_STORAGE)
def start(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """Test it now; to htmx the fragment, else back to the page."""
    probe_runs.count_wish(member.workspace)
    with transaction(member.tenant_id):
        profile = probe_runs.ask(member.workspace, profile_id, member.user_id)
    if is_fragment_wanted():
        return render_template("storage/_probe.html", test=probe_runs.shown(profile), profile=profile, poll=0)
    return _to_page(profile)


def _to_page(profile: StorageProfile) -> ResponseReturnValue:
    return redirect(url_for("storage.show", workspace_id=profile.workspace_id, profile_id=profile.id), 303)
