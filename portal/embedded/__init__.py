"""The one-command stack: Postgres, Valkey, SeaweedFS and clamd as child processes, and their supervisor.

Owns the data folder (``PORTAL_DATA_DIR``, default ``var/``) and nothing in the database.
- An engine whose variable the caller has set is not started: the caller's is used.
- Everything listens on loopback, behind secrets that are created once and kept in the data folder.
- What ends is started again with growing pauses; after the last one a line on the terminal says that it is given up.
- Ctrl-C leaves no process behind; what kill -9 of the supervisor leaves is ended at the next start.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from portal.embedded import state
from portal.settings import Settings


def discover(environ: Mapping[str, str] = os.environ, *, owner: bool = False) -> Settings:
    """The settings of this environment; those of the running embedded stack where it names no database.

    What the caller has set wins. ``owner``: with the database role that owns the tables. Raises ``SettingsError`` for
    an incomplete environment, ``StackError`` when there is neither an environment nor a running stack.
    """
    if environ.get("PORTAL_DATABASE_URL") or environ.get("PORTAL_DATABASE_URL_FILE"):
        return Settings.from_environ(environ, owner=owner)
    found = state.merge(state.environment(state.data_folder(environ)), environ)
    return Settings.from_environ(found, owner=owner)
