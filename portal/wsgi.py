"""The web door: ``gunicorn portal.wsgi:app``."""

from __future__ import annotations

from portal.app import create_app
from portal.settings import Settings
from portal.web import logs

_settings = Settings.from_environ()
logs.configure(_settings.log_format)
app = create_app(_settings)
