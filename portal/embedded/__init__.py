"""The one-command stack: Postgres, Valkey, SeaweedFS and clamd as child processes, and the supervisor of all.

Owns the data folder (``PORTAL_DATA_DIR``, default ``var/``) and nothing in the database.
- An engine whose variable the caller has set is not started: the caller's is used.
- Everything listens on loopback, behind secrets that are made once and kept in the data folder.
- What dies is started again with growing pauses, and given up in plain sight.
- Nothing is left behind: not after Ctrl-C, and after kill -9 of everything not beyond the next start.
"""
