"""A person's own page: their password, and where they are logged in."""
