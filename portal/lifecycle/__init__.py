"""Lifecycle: the sweep, periodic tasks and health checks. Owns the runs of periodic tasks and nothing else.

- ``sweep``: one pass over what is due: expires sessions, clears staging keys, enqueues what is due.
- ``periodic_tasks``: hourly and daily work, one after another, recorded in ``periodic_task_runs``.
- ``doctor``: checks every part of the installation, and the invariants.

The sweep reads what is due across tenants in the table of tasks, which has ids only, takes small batches, and is safe
to run at any time, twice, and by hand.
"""
