"""The page behind an invitation's link: for who has an account, and for who makes one."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from portal.errors import Conflict, Invalid, NotFound, Problem
from portal.identity.views import log_in_as
from portal.people import invitations
from portal.people.forms import SignUpForm
from portal.tenancy.labels import WORKSPACE_ROLES
from portal.web.access import public
from portal.web.rate_limits import Rate, address, network_of, rates

blueprint = Blueprint("invitations", __name__, url_prefix="/invitations/<token>")
ANSWERS = Rate("invitation-answers", "300 per hour")  # of one network, maybe a whole office; each hashes a password


@blueprint.errorhandler(NotFound)
@blueprint.errorhandler(Conflict)
def explain(problem: Problem) -> ResponseReturnValue:
    """What is wrong with the invitation: the words of the general error pages are about files."""
    page = render_template(
        "security/unusable_link.html",
        reason=problem.detail,
        next_url=url_for("workspaces.home"),
        next_label=_("Go to your workspaces"),
    )
    return page, problem.http_status


@blueprint.get("")
@public
def show(token: str) -> ResponseReturnValue:
    """What the invitation is for, and what there is to do: join, log in, or make an account."""
    return _page(invitations.find_by_token(token), token, SignUpForm(formdata=None))


@blueprint.post("/accept")
@public
def accept(token: str) -> ResponseReturnValue:
    """Join the workspace; for who is logged in with the invitation's address."""
    invitation = invitations.find_by_token(token)
    if not current_user.is_authenticated:
        return redirect(url_for("security.login", next=url_for(".show", token=token)), 303)
    invitations.accept(invitation, current_user.id)
    return _to_workspace(invitation)


@blueprint.post("/sign-up")
@public
def sign_up(token: str) -> ResponseReturnValue:
    """Make the account that the invitation is for, log in, and join."""
    rates().count(ANSWERS, network_of(address()))
    invitation, form = invitations.find_by_token(token), SignUpForm()
    invitations.require_open(invitation)
    if not form.validate_on_submit():
        return _page(invitation, token, form), 422
    try:
        user = invitations.sign_up(invitation, form.name.data, form.password.data)
    except Invalid as problem:
        form.show_refusal(problem)
        return _page(invitation, token, form), 422
    log_in_as(user)
    return _to_workspace(invitation)


def _to_workspace(invitation: invitations.InvitationDetails) -> ResponseReturnValue:
    flash(_("Welcome to “%(workspace)s”.", workspace=invitation.workspace_name), "success")
    place = url_for("library.index", tenant_slug=invitation.tenant_slug, workspace_slug=invitation.workspace_slug)
    return redirect(place, 303)


def _page(invitation: invitations.InvitationDetails, token: str, form: SignUpForm) -> str:
    invitations.require_open(invitation)
    reader = current_user.email if current_user.is_authenticated else None
    return render_template(
        "people/invitation.html",
        invitation=invitation,
        role=WORKSPACE_ROLES[invitation.role],
        token=token,
        form=form,
        reader=reader,
    )
