"""Tables of moves."""
