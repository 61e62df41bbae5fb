"""Pages of identity: a person's API tokens. Login and logout are Flask-Security's, in our templates."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from flask_security import views as security_views
from flask_security.utils import logout_user

from portal.database import now, transaction
from portal.errors import Invalid, NotFound
from portal.identity import service, sessions
from portal.identity.access import recently_proved, signed_in
from portal.identity.forms import TokenForm
from portal.identity.service import Person
from portal.web.rate_limits import Rate, address, rates

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")
TOKENS = Rate("api-token", "30 per hour")


def log_in() -> ResponseReturnValue:
    """Flask-Security's login, for forms: it would read JSON of any shape, too.

    The token that forms carry changes with it: somebody else may have put the session's cookie into this browser.
    """
    if request.is_json:
        raise Invalid(_("Send the form of the login page."), code="unsupported_type")
    before = current_user.is_authenticated
    answer: ResponseReturnValue = security_views.login()
    if request.method == "POST" and current_user.is_authenticated:
        session.pop("csrf_token", None)
        if not before:
            _begin_session()
    return answer


def _begin_session() -> None:
    with transaction():
        if service.stands(current_user.id, current_user.password):
            # What Flask-Login keeps in its cookies, and asks ``find_by_session`` about.
            session["_user_id"] = sessions.begin(current_user.id, address(), request.user_agent.string)
            return
    logout_user()  # the page that follows asks for the password that counts by now


def log_out() -> ResponseReturnValue:
    """Flask-Security's logout; the session's row ends, too, so that a copy of the cookie is worth nothing."""
    if current_user.is_authenticated:
        with transaction(), suppress(NotFound):  # ended elsewhere in this moment
            sessions.end(current_user.id, current_user.session_id)
    answer: ResponseReturnValue = security_views.logout()
    return answer


@blueprint.get("")
@signed_in
def index(user: Person) -> ResponseReturnValue:
    """A person's tokens, and the form for another."""
    return _page(user, TokenForm())


@blueprint.post("")
@signed_in
@recently_proved
def create(user: Person) -> ResponseReturnValue:
    """Make a token and show it, this once."""
    form = TokenForm()
    if not form.validate_on_submit():
        return _page(user, form), 422
    rates().count(TOKENS, str(user.id))
    with transaction():
        row, plain = service.create_token(user.id, form.name.data, days=form.days.data)
    return _page(user, TokenForm(formdata=None), fresh={"name": row.name, "token": plain}), 201


@blueprint.post("/<uuid:token_id>/revoke")
@signed_in
def revoke(user: Person, token_id: UUID) -> ResponseReturnValue:
    """End a token."""
    with transaction():
        service.revoke_token(user.id, token_id)
    flash(_("The token was revoked."), "success")
    return redirect(url_for("tokens.index"), 303)


def _page(user: Person, form: TokenForm, fresh: dict[str, str] | None = None) -> str:
    moment = now()
    tokens: list[dict[str, Any]] = [
        {
            "id": token.id,
            "name": token.name,
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "last_used_at": token.last_used_at,
            "expired": token.expires_at is not None and token.expires_at <= moment,
        }
        for token in service.list_tokens(user.id)
    ]
    return render_template("tokens/index.html", form=form, tokens=tokens, fresh=fresh)
