"""Session cookies: Flask's own, signed by something that is made once and not for every request."""

from __future__ import annotations

from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface, SessionMixin
from itsdangerous import URLSafeTimedSerializer

from portal.web.csrf import bearer_token


class NoCookie(SecureCookieSession):
    """The session of a request with a bearer token: empty, and forgotten."""


class SessionCookies(SecureCookieSessionInterface):
    """As Flask reads and writes them. Keys do not change while a process runs."""

    _signing: URLSafeTimedSerializer | None = None

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """Who comes with a bearer token is known by it: their cookies are not looked at."""
        return NoCookie() if bearer_token() is not None else super().open_session(app, request)

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Nor do they get one."""
        if not isinstance(session, NoCookie):
            super().save_session(app, session, response)

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Made at the first request that has a cookie: it costs 30 µs."""
        if self._signing is None:
            self._signing = super().get_signing_serializer(app)
        return self._signing


def install(app: Flask) -> None:
    """Comes after the secret keys."""
    app.session_interface = SessionCookies()
