"""Cross-site requests: whoever is signed in by a cookie must also send the token that only our pages know.

Forms carry it as ``csrf_token``, scripts as header ``X-CSRFToken``. A bearer token can't be sent by another site, so a
request that carries one on the API's addresses needs no second proof, and its cookies are not looked at.
"""

from __future__ import annotations

from flask import Flask, request
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFError, CSRFProtect, generate_csrf
from markupsafe import Markup

from portal.web.body import Malformed
from portal.web.problems import speaks_json

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
csrf = CSRFProtect()
_FIELD = Markup('<input type="hidden" name="csrf_token" value="%s">')


def bearer_token() -> str | None:
    """The token of the request's ``Authorization: Bearer``; only the API's addresses take one."""
    if not speaks_json():
        return None
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def install(app: Flask) -> None:
    """Check every request that changes something."""
    app.config.update(WTF_CSRF_CHECK_DEFAULT=False, WTF_CSRF_TIME_LIMIT=None)
    csrf.init_app(app)
    app.before_request(_check)
    app.jinja_env.globals["csrf"] = field


def field() -> Markup:
    """The hidden field that every form of ours carries."""
    return _FIELD % str(generate_csrf())


def _check() -> None:
    if request.method in SAFE or bearer_token() is not None:
        return
    if speaks_json() and not current_user.is_authenticated:
        return  # nobody is signed in: the access mark answers 401
    try:
        csrf.protect()
    except CSRFError:
        raise Malformed(
            _(
                "The form was open for too long, or did not come from this page. Nothing was changed. "
                "Go back, load the page again and send it once more."
            ),
            code="csrf",
        ) from None
