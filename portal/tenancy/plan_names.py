"""What people call the plans of ``plans.code``."""

from __future__ import annotations

from flask_babel import lazy_gettext as _l

_NAMES = {"free": _l("Free"), "basic": _l("Basic"), "pro": _l("Pro"), "enterprise": _l("Enterprise")}


def plan_name(code: str) -> str:
    """In the reader's language; the code itself for a plan that a later version has added."""
    return str(_NAMES.get(code, code))
