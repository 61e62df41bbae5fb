"""Lifecycle: what happens by itself. Owns what the clock did; every other fact is written by its room's service.

- ``sweep``: one pass over what is due: expires sessions, clears staging keys, rings again for what stands still.
- ``chores``: daily and weekly work, one after another, remembered in ``chore_runs``.
- ``doctor``: looks at the parts and proves the invariants.

The sweep reads what is due across tenants through one database function that answers ids only, takes small batches,
and is safe to run at any time, twice, and by hand.
"""
