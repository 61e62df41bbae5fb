"""Cross-site requests: whoever is signed in by a cookie must also send the token that only our pages know.

Forms carry it as ``csrf_token``, scripts as header ``X-CSRFToken``. A bearer token can't be sent by another site, so a
request that carries one on the API's addresses needs no second proof, and its cookies are ignored.
"""

from __future__ import annotations

import base64
import binascii
import secrets

from flask import Flask, current_app, g, request
from flask_babel import gettext as _
from flask_login import current_user
from flask_wtf.csrf import CSRFProtect, generate_csrf, same_origin, validate_csrf
from markupsafe import Markup
from wtforms import ValidationError

from portal.web.body import Malformed
from portal.web.problems import speaks_json

SAFE = frozenset(("GET", "HEAD", "OPTIONS", "TRACE"))
csrf = CSRFProtect()
MASKED = "m."  # before a token that was masked
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
    # After the library's own, which gives the token as it is, so that this one counts.
    app.context_processor(lambda: {"csrf_token": token})


def field() -> Markup:
    """The hidden field that every form of ours carries."""
    return _FIELD % token()


def token() -> str:
    """The session's token, masked anew: beside what a request brings into a compressed page, a text that stays the same
    could be guessed by the size of the answers (BREACH, CVE-2013-3587).
    """
    plain = str(generate_csrf()).encode()
    mask = secrets.token_bytes(len(plain))
    return MASKED + base64.urlsafe_b64encode(mask + _xor(mask, plain)).decode()


def _unmasked(given: str | None) -> str | None:
    if given is None or not given.startswith(MASKED):
        return given
    try:
        both = base64.urlsafe_b64decode(given.removeprefix(MASKED))
        return _xor(both[: len(both) // 2], both[len(both) // 2 :]).decode()
    except (binascii.Error, ValueError):
        return None


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def _given() -> str | None:
    headers = (request.headers.get(name) for name in current_app.config["WTF_CSRF_HEADERS"])
    return request.form.get("csrf_token") or next(filter(None, headers), None)


def _check() -> None:
    if request.method in SAFE or bearer_token() is not None:
        return
    if speaks_json() and not current_user.is_authenticated:
        return  # nobody is signed in: the access mark answers 401
    try:
        validate_csrf(_unmasked(_given()))
        # Under https a browser says where it comes from; another site can't leave that out (Referrer-Policy).
        if request.is_secure and not same_origin(request.referrer or "", f"https://{request.host}/"):
            raise ValidationError
    except ValidationError:
        raise Malformed(
            _(
                "The form was open for too long, or did not come from this page. Nothing was changed. "
                "Go back, load the page again and send it once more."
            ),
            code="csrf",
        ) from None
    g.csrf_valid = True  # forms that check it once more are answered by this
