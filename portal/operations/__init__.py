"""Operations: the pages of those who run the installation, and the metrics. Owns no table.

- ``dashboard``: queues, workers, scheduler, failures, stores, database, disk, periodic tasks.
- ``service``: what an operator does about it; each action is recorded in ``operator_acts``, and in the audit log of the
  tenant that it is about.
- ``metrics``: the same numbers for Prometheus, collected when they are requested.

Counts across tenants come from functions of the database that return counts and ids, never names or content.
"""
