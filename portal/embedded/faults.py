"""The one exception of the embedded stack."""

from __future__ import annotations


class StackError(Exception):
    """The stack can't run. The text says what happened and what to do; it is shown as it is, without a traceback."""
