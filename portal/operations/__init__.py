"""Operations: the desk of those who run the installation, and the numbers that a monitor reads. Owns no table.

- ``board``: what goes on: queues, workers, clock, failures, stores, database, disk, the day's checks.
- ``service``: what an operator does about it; each act is written down in ``operator_acts``, and in the tenant's audit
  where it is about one.
- ``numbers``: the same numbers for Prometheus, collected when they are asked for.

What lies across tenants is counted by functions of the database that answer counts and ids, never names or content.
"""
