"""Login and logout: Flask-Security's, in our templates. Their addresses are in ``security``."""

from __future__ import annotations

from contextlib import suppress

from flask import after_this_request, request, session
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user
from flask_security import views as security_views
from flask_security.utils import login_user, logout_user

from portal.database import now, transaction
from portal.errors import Invalid, NotFound
from portal.identity import service, sessions
from portal.identity.login_attempts import LoginAttempt
from portal.identity.models import User
from portal.mail import service as mail
from portal.mail.service import Addressee
from portal.web.rate_limits import address


def log_in() -> ResponseReturnValue:
    """Flask-Security's login, for forms: it would read JSON of any shape, too.

    The token that forms carry changes with it: somebody else may have put the session's cookie into this browser.
    """
    if request.is_json:
        raise Invalid(_("Send the form of the login page."), code="unsupported_type")
    before = current_user.is_authenticated
    device_is_known = LoginAttempt(request.form.get("email", "")).device is not None
    answer: ResponseReturnValue = security_views.login()
    if request.method == "POST" and current_user.is_authenticated:
        session.pop("csrf_token", None)
        if not before:
            _begin_session(device_is_known)
    return answer


def log_in_as(user: User) -> None:
    """Begin a session of somebody who has just proved who they are in another way than by a password."""
    login_user(user)
    session.pop("csrf_token", None)
    after_this_request(LoginAttempt(user.email).remember_device)
    _begin_session(device_is_known=False)


def _begin_session(device_is_known: bool) -> None:
    with transaction():
        if service.stands(current_user.id, current_user.password):
            # Nobody is warned of their own first login.
            if not device_is_known and sessions.has_any(current_user.id):
                _warn_of_new_device()
            # What Flask-Login keeps in its cookies, and asks ``find_by_session`` about.
            session["_user_id"] = sessions.begin(current_user.id, address(), request.user_agent.string)
            return
    logout_user()  # the page that follows asks for the password that counts by now


def _warn_of_new_device() -> None:
    mail.enqueue(
        "new_device",
        [Addressee(current_user.name, current_user.email, current_user.language)],
        None,
        device=sessions.device_of(request.user_agent.string),
        address=address(),
        at=now(),
        path="/account",
    )


def log_out() -> ResponseReturnValue:
    """Flask-Security's logout; the session's row ends, too, so that a copy of the cookie is worth nothing."""
    if current_user.is_authenticated:
        with transaction(), suppress(NotFound):  # ended elsewhere in this moment
            sessions.end(current_user.id, current_user.session_id)
    answer: ResponseReturnValue = security_views.logout()
    return answer
