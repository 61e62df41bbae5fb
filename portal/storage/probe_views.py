"""The fragment of a storage profile's page that shows its test; while the test runs it renews itself."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from htmx_flask import make_response

from portal.database import transaction
from portal.storage import probe_runs
from portal.storage.models import StorageProfile
from portal.storage.presenters import test_of
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
    """The test so far."""
    profile = find_unretired(member.workspace, profile_id)
    if not is_fragment_wanted():
        return _to_page(profile)
    polls = request.args.get("poll", 0, int)
    test = test_of(profile, polls)
    fragment = render_template("storage/_probe.html", test=test, profile=profile, polls=polls)
    # At the end health, reason and buttons of the whole page have changed, too.
    response: Response = make_response(fragment, refresh=polls > 0 and not test.running)
    return response


@blueprint.post(f"{HERE}/test")
@member(Permission.MANAGE_STORAGE)
def start(member: Member, profile_id: UUID) -> ResponseReturnValue:
    """Test it now; htmx gets the fragment, a browser without it the page."""
    probe_runs.count_request(member.workspace)
    with transaction(member.tenant_id):
        profile = probe_runs.request(member.workspace, profile_id, member.user_id)
    if is_fragment_wanted():
        return render_template("storage/_probe.html", test=test_of(profile), profile=profile, polls=0)
    return _to_page(profile)


def _to_page(profile: StorageProfile) -> ResponseReturnValue:
    return redirect(url_for("storage.show", workspace_id=profile.workspace_id, profile_id=profile.id), 303)
