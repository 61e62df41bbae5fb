"""Who is asking: the marks ``signed_in`` and ``operator``, and ``person()`` for the marks of tenancy.

A request of the API that carries a bearer token is that token's person, or nobody: its cookies are not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from flask import g
from flask_babel import gettext as _
from flask_login import current_user

from portal.errors import Forbidden
from portal.identity.service import Person, authenticate
from portal.web.access import AccessMark, View, put_mark
from portal.web.csrf import bearer_token


def unauthenticated() -> Forbidden:
    """The refusal for somebody who has not proved who they are: 401, or the login form."""
    if bearer_token() is None:
        return Forbidden(_("Sign in, or send a token."), code="unauthenticated")
    return Forbidden(_("This token is not valid: unknown, expired or revoked."), code="unauthenticated")


def remember_person(person: Person) -> Person:
    """Keep who is asking for the rest of this request."""
    g.person = person
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
        return view(user=person(), **arguments)

    return put_mark(run, AccessMark("signed_in"))


def operator(view: View) -> Callable[..., Any]:
    """Those who run the installation; the view gets keyword ``user`` (``Person``)."""

    @wraps(view)
    def run(**arguments: Any) -> Any:
        user = person()
        if not user.is_operator:
            raise Forbidden(_("Only an operator of this installation may do this."))
        return view(user=user, **arguments)

    return put_mark(run, AccessMark("operator"))
