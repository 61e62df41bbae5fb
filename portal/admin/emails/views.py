"""Pages of the outgoing mail, for operators.

A letter's HTML is shown in a frame of its own whose policy allows its inline styles and nothing else; the page around
it keeps the strict one.
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.identity.access import operator
from portal.identity.service import Person
from portal.mail import service as mail
from portal.mail.models import EmailState
from portal.settings import Settings
from portal.web.body import Query, read_query
from portal.web.headers import content_security_policy, origin_of
from portal.web.pages import wants_next_rows
from portal.web.paging import read_paging

blueprint = Blueprint("letters", __name__, url_prefix="/operator/mail")

ALONE = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-popups"


class Asked(Query):
    """What the list is narrowed to."""

    state: EmailState | None = None


@blueprint.get("")
@operator
def index(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """All letters of the last 90 days, the newest first; to htmx, which asks with a cursor, the next rows alone."""
    asked, paging = read_query(Asked), read_paging()
    letters, cursor = mail.list_emails(asked.state, paging)
    next_url = url_for(".index", cursor=cursor, state=asked.state) if cursor else None
    if wants_next_rows(paging):
        return render_template("emails/_items.html", letters=letters, next_url=next_url)
    context = {"state": asked.state, "counts": mail.counts(), "server": mail.server()}
    return render_template("emails/index.html", letters=letters, next_url=next_url, **context)


@blueprint.get("/<uuid:letter_id>")
@operator
def show(user: Person, letter_id: UUID) -> ResponseReturnValue:  # noqa: ARG001
    """One letter."""
    page = Response(
        render_template("emails/show.html", letter=mail.find(letter_id), next_attempt_at=mail.next_attempt(letter_id))
    )
    settings: Settings = current_app.extensions["portal.settings"]
    policy = content_security_policy(origin_of(settings.s3_public_endpoint))
    page.headers["Content-Security-Policy"] = f"{policy}; frame-src 'self'"
    return page


@blueprint.get("/<uuid:letter_id>/html")
@operator
def show_html(user: Person, letter_id: UUID) -> ResponseReturnValue:  # noqa: ARG001
    """Its HTML alone, for the frame: no script, nothing from anywhere."""
    page = Response(mail.find(letter_id).html)
    page.headers["Content-Security-Policy"] = ALONE
    page.headers["X-Frame-Options"] = "SAMEORIGIN"
    return page


@blueprint.post("/<uuid:letter_id>/send")
@operator
def send(user: Person, letter_id: UUID) -> ResponseReturnValue:  # noqa: ARG001
    """Try again what was given up."""
    mail.send_again(mail.find(letter_id).id)
    flash(_("The e-mail is tried for another 24 hours."), "success")
    return redirect(url_for(".index"), 303)
