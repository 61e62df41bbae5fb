"""Administration: the pages of a tenant, the frame of every page, and commands that write rows of several packages.

Owns no table. Opening a workspace means rows of tenancy, quotas, storage and folders in one transaction.
"""
