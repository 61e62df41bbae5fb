"""The ``portal`` command, one module a group of commands."""
