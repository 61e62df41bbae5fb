"""Tables of the quarantine desk."""
