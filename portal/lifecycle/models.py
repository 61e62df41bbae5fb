"""Tables of lifecycle: what the clock did."""
