"""Flask-Security, reduced to what we use: login and logout by password, in our templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Flask, current_app, request, session
from flask_babel import lazy_gettext as _l
from flask_login import decode_cookie
from flask_principal import Principal
from flask_security import RoleMixin, Security, SQLAlchemyUserDatastore
from flask_security.utils import set_request_attr

from portal.database import db
from portal.identity import login_attempts, service
from portal.identity.forms import LoginForm
from portal.identity.models import User
from portal.identity.service import Person
from portal.identity.views import log_in, log_out
from portal.web.access import public
from portal.web.csrf import bearer_token

CONFIG: dict[str, Any] = {
    "SECURITY_LOGIN_URL": "/login",
    "SECURITY_LOGOUT_URL": "/logout",
    "SECURITY_LOGOUT_METHODS": ["POST"],
    "SECURITY_POST_LOGIN_VIEW": "/",
    "SECURITY_POST_LOGOUT_VIEW": "/login",
    "SECURITY_LOGIN_USER_TEMPLATE": "security/login_user.html",
    "SECURITY_REGISTERABLE": False,
    "SECURITY_RECOVERABLE": False,
    "SECURITY_CHANGEABLE": False,
    "SECURITY_CONFIRMABLE": False,
    "SECURITY_TRACKABLE": False,
    "SECURITY_SEND_REGISTER_EMAIL": False,
    # One argon2id hash, no second hash that would tie every password to a key of the deployment.
    "SECURITY_PASSWORD_SCHEMES": ["argon2"],
    "SECURITY_PASSWORD_HASH": "argon2",
    "SECURITY_PASSWORD_SINGLE_HASH": True,
    "SECURITY_RETURN_GENERIC_RESPONSES": True,
    "SECURITY_MSG_GENERIC_AUTHN_FAILED": (_l("The e-mail address or the password is wrong."), "error"),
    "SECURITY_MSG_LOGIN": (_l("Log in to continue."), "info"),
    "SECURITY_MSG_UNAUTHENTICATED": (_l("Log in to continue."), "info"),
    "SECURITY_FLASH_MESSAGES": False,
    "SECURITY_BACKWARDS_COMPAT_AUTH_TOKEN": False,
    "SECURITY_API_ENABLED_METHODS": ["session"],
}


class People(SQLAlchemyUserDatastore):
    """Finds people; the library's own way joins the roles that we don't have."""

    def find_user(self, case_insensitive: bool = False, **wanted: Any) -> User | None:  # noqa: ARG002
        """By address, in whatever case it is written."""
        return service.find_user(wanted["email"])


class Roleless(RoleMixin):
    """Flask-Security wants a model of roles; rights come from memberships instead."""


blueprint = Blueprint("security", __name__)  # the library's own would bring addresses that we don't use
blueprint.add_url_rule("/login", "login", public(log_in), methods=["GET", "POST"])
blueprint.add_url_rule("/logout", "logout", public(log_out), methods=["POST"])


def install(
    app: Flask,
    find_by_session: Callable[[str], Person | None],
    record_failed_login: login_attempts.FailureRecorder,
) -> None:
    """Log in and out. ``current_user`` is whom ``find_by_session`` finds for what the session cookie names."""
    login_attempts.install(app, record_failed_login)
    app.config.update(CONFIG)
    datastore = People(db, User, Roleless)
    security = Security(app, datastore, login_form=LoginForm, register_blueprint=False)
    security.want_json(lambda _request: False)
    app.register_blueprint(blueprint)
    app.before_request(_accept_older_keys)
    app.login_manager.user_loader(_note_how(find_by_session))  # type: ignore[attr-defined]
    # The library also takes tokens of its own from headers and addresses, and loads its roles before each request.
    app.login_manager.request_loader(None)  # type: ignore[attr-defined]
    hooks = app.before_request_funcs[None]
    hooks[:] = [hook for hook in hooks if not isinstance(getattr(hook, "__self__", None), Principal)]


def _accept_older_keys() -> None:
    """Take a "remember me" that was signed by a key which was rotated since; it is signed anew with this answer.

    Flask does so for the session's cookie (``SECRET_KEY_FALLBACKS``), Flask-Login not for its own.
    """
    cookie = request.cookies.get(current_app.config["REMEMBER_COOKIE_NAME"])
    if cookie is None or bearer_token() is not None or "_user_id" in session or decode_cookie(cookie) is not None:
        return
    for key in current_app.config["SECRET_KEY_FALLBACKS"]:
        if (secret := decode_cookie(cookie, key=key)) is not None:
            session.update({"_user_id": secret, "_fresh": False, "_remember": "set"})
            return


def _note_how(find_by_session: Callable[[str], Person | None]) -> Callable[[str], Person | None]:
    def load(secret: str) -> Person | None:
        person = find_by_session(secret)
        if person is not None:
            set_request_attr("fs_authn_via", "session")
        return person

    return load
