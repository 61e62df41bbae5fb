"""The audit log and the events of a tenant, for its admins."""
