"""Quotas: how many bytes a workspace and its tenant use and have reserved, and how many they may.

Owns ``workspace_quotas``, ``tenant_quotas``, ``quota_ledger``, ``quota_changes`` and ``quota_requests``. What is
measured and forecast is the package of usage's.
- ``reserve`` raises ``reserved``; ``settle`` turns it into ``used``; ``release`` lowers it, ``free`` lowers ``used``.
- ``used + reserved`` grows only where the result fits the limit of the workspace and of the tenant: never oversold, at
  any instant, at either level. A limit may be set below the use; then nothing more fits until it does.
- Both counters move together with one ledger entry, in the caller's transaction or not at all: each byte is explained,
  a crash leaks none, and no counter falls below zero (a CHECK of the database).
- Locks: the workspace's row, then the tenant's, as the last statement before the commit.
- A person's change of a limit holds only where the limit was still the one that they saw.
- No page sums over files: periodic tasks of the package of usage do.
"""
