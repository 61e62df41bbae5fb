"""The entry point of the web server: ``gunicorn portal.wsgi:app``."""

from __future__ import annotations

import gc

from portal.app import create_app
from portal.settings import Settings, exit_with_message
from portal.web import logs

with exit_with_message():
    _settings = Settings.from_environ()
    logs.configure(_settings.log_format)
    app = create_app(_settings)
# What is here now stays for good: collecting garbage would walk through it, and copy its pages into every web process.
gc.collect()
gc.freeze()
# A request makes a thousand objects and hardly a cycle: by default the young ones are walked through twice a request,
# which is a tenth of its time.
gc.set_threshold(10_000, 20, 50)
