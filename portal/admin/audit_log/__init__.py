"""The trail of a tenant for its admins: who did what (audit), and what happened (events)."""
