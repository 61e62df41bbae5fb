"""Who is asking: the marks ``signed_in`` and ``operator``, and ``person()`` for the marks of tenancy.

A request of the API that carries a bearer token is that token's person, or nobody: its cookies are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import Response, g, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_login import current_user

from portal.errors import Forbidden
from portal.identity import scopes, sessions
from portal.identity.service import Person, authenticate
from portal.web.access import AccessMark, View, put_mark
from portal.web.csrf import bearer_token
from portal.web.problems import speaks_json
from portal.web.rate_limits import count_api_request

NOT_REPEATED = frozenset(("csrf_token", "proof", "proof_target", "proof_method"))


def unauthenticated() -> Forbidden:
    """The refusal for somebody who has not proved who they are: 401, or the login form."""
    if bearer_token() is None:
        return Forbidden(_("Sign in, or send a token."), code="unauthenticated")
    return Forbidden(_("This token is not valid: unknown, expired or revoked."), code="unauthenticated")


def remember_person(person: Person) -> Person:
    """Keep who is asking for the rest of this request, and count it for them where it is one of the API.

    Pages are not counted: the server answers the requests of different clients in turn (``portal.web.server``).
    """
    g.person = person
    if speaks_json():
        count_api_request("person", person.id)
    return person


def person() -> Person:
    """Who is asking. Raises 401."""
    known: Person | None = g.get("person")
    if known is not None:
        return known
    token = bearer_token()
    if token is not None:
        found = authenticate(token)
    else:
        found = current_user._get_current_object() if current_user.is_authenticated else None
    if found is None:
        raise unauthenticated()
    return remember_person(found)


def signed_in(view: View) -> Callable[..., Any]:
    """Anybody who is signed in; the view gets keyword ``user`` (``Person``)."""

    @wraps(view)
    def run(**arguments: Any) -> Any:
        user = person()
        require_whole_token(user)
        return view(user=user, **arguments)

    return put_mark(run, AccessMark("signed_in"))


def identified(view: View) -> Callable[..., Any]:
    """As ``signed_in``, but for a token of any scope and any workspaces: how a script finds out what it may do."""

    @wraps(view)
    def run(**arguments: Any) -> Any:
        return view(user=person(), **arguments)

    return put_mark(run, AccessMark("signed_in"))


def require_whole_token(user: Person) -> None:
    """For what lies in no workspace. Raises ``Forbidden`` for a token of some workspaces, or without the scope."""
    needed = scopes.scope_for(request.method)
    if not scopes.allows(user.scopes, needed):
        raise scopes.insufficient(needed)
    if user.workspace_ids is not None:
        raise scopes.too_narrow()


def recently_proved(view: View, *, when: Callable[[], bool] = lambda: True, by_token: bool = True) -> View:
    """Whoever is here by a session must have entered their password in the last 15 minutes; below the access mark.

    For what outlasts a session or opens what was closed: a session that was left open, or taken over, must not be
    enough. ``when``: whether this request is such an act. Browsers are asked for the password, and the act follows
    it; scripts get 403 ``proof_required``. A token is its own proof: it was made under one, for what it does. Where
    ``by_token`` is False it is none: what it makes would outlast it, or do more than it may.
    """

    @wraps(view)
    def run(**arguments: Any) -> Any:
        session_id = person().session_id
        if not when() or (by_token if session_id is None else sessions.is_proved(session_id)):
            return view(**arguments)
        if session_id is None:
            raise Forbidden(_("A token can't do this: log in, and enter your password."), code="proof_required")
        if speaks_json():
            raise Forbidden(_("Enter your password first, on the page “My account”."), code="proof_required")
        return ask_for_proof(request.full_path.rstrip("?"), request.method)

    return run


def ask_for_proof(target: str, method: str, problem: str | None = None) -> ResponseReturnValue:
    """The page that asks for the password, and then goes on to ``target`` with what was sent.

    Secrets are left out of the page: its form asks for them again.
    """
    if request.headers.get("HX-Request") and not request.headers.get("HX-Boosted"):
        here = urlsplit(request.headers.get("HX-Current-URL", ""))
        target, method = f"{here.path or '/'}?{here.query}".rstrip("?"), "GET"
        address = url_for("account.confirm", target=target)
        return Response(status=403, headers={"HX-Redirect": address})
    sent = [
        (name, value)
        for name, value in request.form.items(multi=True)
        if name not in NOT_REPEATED and not any(word in name for word in ("secret", "password"))
    ]
    fields = {"target": target, "method": method, "sent": sent if method == "POST" else []}
    return render_template("account/confirm.html", problem=problem, **fields), 403


def operator(view: View) -> Callable[..., Any]:
    """Those who run the installation; the view gets keyword ``user`` (``Person``)."""

    @wraps(view)
    def run(**arguments: Any) -> Any:
        user = person()
        if not user.is_operator:
            raise Forbidden(_("Only an operator of this installation may do this."))
        require_whole_token(user)
        return view(user=user, **arguments)

    return put_mark(run, AccessMark("operator"))
