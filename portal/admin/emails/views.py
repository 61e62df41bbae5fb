"""Pages of the outgoing e-mails, for operators.

The HTML of an e-mail is shown in a frame whose policy allows its inline styles and nothing else; the page around the
frame keeps the strict policy.
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, current_app, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.admin.emails import presenters
from portal.identity.access import operator
from portal.identity.service import Person
from portal.mail import service as mail
from portal.mail.models import EmailState
from portal.settings import Settings
from portal.web.body import Query, read_query
from portal.web.headers import content_security_policy, origin_of
from portal.web.pages import wants_next_rows
from portal.web.paging import read_paging

blueprint = Blueprint("emails", __name__, url_prefix="/operator/mail")

FRAME_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox allow-popups"


class EmailQuery(Query):
    """The filter of the list."""

    state: EmailState | None = None


@blueprint.get("")
@operator
def index(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """The e-mails of the last 90 days, the newest first; to htmx, which asks with a cursor, the next rows alone."""
    query, paging = read_query(EmailQuery), read_paging()
    emails, cursor = mail.list_emails(query.state, paging)
    next_url = url_for(".index", cursor=cursor, state=query.state) if cursor else None
    rows = [presenters.row(email) for email in emails]
    if wants_next_rows(paging):
        return render_template("emails/_rows.html", rows=rows, next_url=next_url)
    filters = presenters.filters(mail.counts(), query.state)
    return render_template("emails/index.html", rows=rows, next_url=next_url, filters=filters, server=mail.server())


@blueprint.get("/<uuid:email_id>")
@operator
def show(user: Person, email_id: UUID) -> ResponseReturnValue:  # noqa: ARG001
    """One e-mail."""
    email = mail.find(email_id)
    page = render_template(
        "emails/show.html",
        email=email,
        mark=presenters.state_mark(email.state),
        can_resend=email.state is EmailState.GIVEN_UP,
        next_attempt_at=mail.next_attempt(email_id),
    )
    settings: Settings = current_app.extensions["portal.settings"]
    policy = content_security_policy(origin_of(settings.s3_public_endpoint))
    return Response(page, headers={"Content-Security-Policy": f"{policy}; frame-src 'self'"})


@blueprint.get("/<uuid:email_id>/html")
@operator
def show_html(user: Person, email_id: UUID) -> ResponseReturnValue:  # noqa: ARG001
    """Its HTML for the frame: no script, and nothing is loaded."""
    page = Response(mail.find(email_id).html)
    page.headers["Content-Security-Policy"] = FRAME_POLICY
    page.headers["X-Frame-Options"] = "SAMEORIGIN"
    return page


@blueprint.post("/<uuid:email_id>/send")
@operator
def send(user: Person, email_id: UUID) -> ResponseReturnValue:  # noqa: ARG001
    """Send an e-mail that was given up again."""
    mail.send_again(mail.find(email_id).id)
    flash(_("Stowage tries to send the e-mail for another 24 hours."), "success")
    return redirect(url_for(".index"), 303)
