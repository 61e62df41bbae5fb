"""Tables of events and letters."""
