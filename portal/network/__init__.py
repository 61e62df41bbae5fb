"""What may be dialled, and for how long: egress rules and deadlines."""
