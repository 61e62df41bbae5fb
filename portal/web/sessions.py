"""Session cookies: Flask's own, except that a request with a bearer token has none.

Such a request is its token's person. A cookie beside it could be another person's, and what a view
stored in the session would reach them.
"""

from __future__ import annotations

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin

from portal.web.csrf import bearer_token


class NoCookie(SecureCookieSession):
    """The session of a request with a bearer token: empty, and forgotten."""


class SessionCookies(SecureCookieSessionInterface):
    """As Flask reads and writes them, but neither for a request with a bearer token."""

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        return NoCookie() if bearer_token() is not None else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        if not isinstance(session, NoCookie):
            super().save_session(app, session, response)


def install(app: Flask) -> None:
    """Comes after the secret keys."""
    app.session_interface = SessionCookies()
