"""Lifecycle: what happens by itself. Owns how periodic tasks went; every other fact is its package's.

- ``sweep``: one pass over what is due: expires sessions, clears staging keys, enqueues what is due.
- ``periodic_tasks``: daily and weekly work, one after another, remembered in ``periodic_task_runs``.
- ``doctor``: looks at the parts and proves the invariants.

The sweep reads what is due across tenants through one database function that answers ids only, takes small batches,
and is safe to run at any time, twice, and by hand.
"""
