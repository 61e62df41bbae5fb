"""The pages of a forgotten password."""

from __future__ import annotations

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Conflict, Invalid, NotFound, Problem
from portal.identity import password_reset
from portal.identity.forms import ForgottenForm, NewPasswordForm
from portal.mail import service as mail
from portal.web.access import public
from portal.web.rate_limits import Rate, address, network_of, rates

blueprint = Blueprint("password_reset", __name__)
BY_NETWORK = Rate("password-reset-network", "100 per hour")
BY_ADDRESS = Rate("password-reset-address", "5 per hour")


@blueprint.errorhandler(NotFound)
@blueprint.errorhandler(Conflict)
def explain(problem: Problem) -> ResponseReturnValue:
    """What is wrong with the link: the words of the general error pages are about files."""
    page = render_template(
        "security/unusable_link.html",
        reason=problem.detail,
        next_url=url_for(".ask"),
        next_label=_("Ask for another link"),
    )
    return page, problem.http_status


@blueprint.get("/forgot-password")
@public
def ask() -> ResponseReturnValue:
    """The form that asks for the address."""
    return render_template("security/forgot_password.html", form=ForgottenForm(), sends_mail=mail.server() is not None)


@blueprint.post("/forgot-password")
@public
def send() -> ResponseReturnValue:
    """Send the link; whether there is such a person is not said."""
    form = ForgottenForm()
    if not form.validate_on_submit():
        sends_mail = mail.server() is not None
        return render_template("security/forgot_password.html", form=form, sends_mail=sends_mail), 422
    rates().count(BY_NETWORK, network_of(address()))
    email = form.email.data.strip().lower()
    if rates().hit(BY_ADDRESS, email):  # a mailbox is not filled; whoever asks gets the same answer
        password_reset.request_reset(email)
    flash(
        _("If there is an account with this address, an e-mail with a link is on its way. It is valid for an hour."),
        "info",
    )
    return redirect(url_for("security.login"), 303)


@blueprint.get("/reset-password/<token>")
@public
def show(token: str) -> ResponseReturnValue:
    """The form for another password."""
    return _page(NewPasswordForm(), token)


@blueprint.post("/reset-password/<token>")
@public
def reset(token: str) -> ResponseReturnValue:
    """Set another password, and log in with it."""
    form = NewPasswordForm()
    rates().count(BY_NETWORK, network_of(address()))
    if not form.validate_on_submit():
        return _page(form, token), 422
    try:
        password_reset.reset(token, form.password.data)
    except Invalid as problem:
        form.password.errors = [problem.detail]
        return _page(form, token), 422
    flash(_("Your password was changed, and every device was logged out. Log in with the new password."), "success")
    return redirect(url_for("security.login"), 303)


def _page(form: NewPasswordForm, token: str) -> str:
    user = password_reset.find_by_token(token)
    return render_template("security/reset_password.html", form=form, token=token, email=user.email)
