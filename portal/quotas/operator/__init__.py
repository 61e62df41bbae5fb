"""Quotas of all tenants, for operators: the list, the report, and a tenant's temporary limit."""
