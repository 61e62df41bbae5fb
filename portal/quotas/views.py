"""The page that a refusal for lack of space leads to."""

from __future__ import annotations

from flask import Blueprint, render_template

from portal.quotas.service import HELP_PATH
from portal.web.access import public

blueprint = Blueprint("quotas", __name__)


@blueprint.get(HELP_PATH)
@public
def show_help() -> str:
    """What counts, and how to make room."""
    return render_template("quotas/help.html")
