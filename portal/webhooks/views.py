"""Pages of webhooks, for admins of a tenant."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Conflict, Unavailable
from portal.identity.access import recently_proved
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Query, read_query
from portal.web.pages import is_fragment_wanted, wants_next_rows
from portal.web.paging import read_paging
from portal.webhooks import delivery as deliveries
from portal.webhooks import presenters, secrets, service
from portal.webhooks.forms import EndpointForm
from portal.webhooks.models import DeliveryState

blueprint = Blueprint("webhooks", __name__)

HERE = "/t/<tenant_slug>/webhooks"
PAGE_SIZE = 20  # deliveries


class DeliveryFilter(Query):
    """Which deliveries the list shows."""

    state: DeliveryState | None = None


@blueprint.get(HERE)
@tenant(Permission.MANAGE_WEBHOOKS)
def index(member: Member) -> ResponseReturnValue:
    """Every webhook with its state."""
    names = dict(service.workspaces_of(member.tenant_id))
    found = service.list_endpoints(member.tenant_id)
    return render_template(
        "webhooks/index.html",
        member=member,
        rows=[presenters.endpoint_row(endpoint, names) for endpoint in found],
        disabled_notice=presenters.disabled_notice(found),
        limit_notice=presenters.limit_notice(found),
    )


@blueprint.get(f"{HERE}/new")
@tenant(Permission.MANAGE_WEBHOOKS)
def new(member: Member) -> ResponseReturnValue:
    """The empty form."""
    return _form(member, EndpointForm(formdata=None))


@blueprint.post(f"{HERE}/new")
@tenant(Permission.MANAGE_WEBHOOKS)
@recently_proved
def create(member: Member) -> ResponseReturnValue:
    """Add a webhook; its secret is shown in this answer only."""
    form = EndpointForm().offer(service.workspaces_of(member.tenant_id))
    created = form.submit(lambda wanted: service.add(member, wanted))
    if created is None:
        return _form(member, form), 422
    endpoint, secret = created
    return _page(member, endpoint.id, secret=secret), 201


@blueprint.get(f"{HERE}/<uuid:webhook_id>")
@tenant(Permission.MANAGE_WEBHOOKS)
def show(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """One webhook with its latest deliveries; to htmx, which asks with a cursor, the next rows alone."""
    return _page(member, webhook_id)


@blueprint.get(f"{HERE}/<uuid:webhook_id>/edit")
@tenant(Permission.MANAGE_WEBHOOKS)
def edit(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """The form with the present values."""
    return _form(member, EndpointForm(formdata=None).show(service.find(member.tenant_id, webhook_id)), webhook_id)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/edit")
@tenant(Permission.MANAGE_WEBHOOKS)
def update(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Save the form."""
    service.find(member.tenant_id, webhook_id)  # a foreign one is a 404, whatever the form has
    form = EndpointForm().offer(service.workspaces_of(member.tenant_id))
    if form.submit(lambda wanted: service.change(member, webhook_id, asdict(wanted))) is None:
        return _form(member, form, webhook_id), 422
    flash(_("The webhook was saved."), "success")
    return _to(member, webhook_id)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/switch")
@tenant(Permission.MANAGE_WEBHOOKS)
def set_enabled(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Enable or disable it."""
    enabled = request.form.get("enabled") == "yes"
    service.change(member, webhook_id, {"enabled": enabled})
    message = _("The webhook is enabled. Waiting events are sent now.") if enabled else _("The webhook is disabled.")
    flash(message, "success")
    return _to(member, webhook_id)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/secret")
@tenant(Permission.MANAGE_WEBHOOKS)
@recently_proved
def replace_secret(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Create a new secret, which is shown in this answer only."""
    try:
        _endpoint, secret = service.replace_secret(member, webhook_id, keep_old=request.form.get("end_old") != "yes")
    except Conflict as problem:
        flash(problem.detail, "danger")
        return _to(member, webhook_id)
    return _page(member, webhook_id, secret=secret)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/test")
@tenant(Permission.MANAGE_WEBHOOKS)
def send_test(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Send a test event; the page of its delivery shows the result."""
    try:
        delivery = service.send_test(member, webhook_id)
    except (Conflict, Unavailable) as problem:
        flash(problem.detail, "danger")
        return _to(member, webhook_id)
    return _to_delivery(member, webhook_id, delivery.id)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/remove")
@tenant(Permission.MANAGE_WEBHOOKS)
def remove(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Remove it with its secret and its deliveries."""
    service.remove(member, webhook_id)
    flash(_("The webhook was removed."), "success")
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


@blueprint.get(f"{HERE}/<uuid:webhook_id>/deliveries/<uuid:delivery_id>")
@tenant(Permission.MANAGE_WEBHOOKS)
def show_delivery(member: Member, webhook_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """One delivery with its body; htmx asks for the changing part until it has been sent."""
    delivery = service.find_delivery(member.tenant_id, webhook_id, delivery_id)
    endpoint = service.find(member.tenant_id, webhook_id)
    row = presenters.delivery_row(delivery, endpoint)
    if is_fragment_wanted():
        return render_template("webhooks/_delivery.html", row=row, member=member)
    body = deliveries.body_for(delivery)
    shown = presenters.endpoint_row(endpoint, {})
    text = body.decode() if body else None
    return render_template("webhooks/delivery.html", row=row, shown=shown, body=text, member=member)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/send")
@tenant(Permission.MANAGE_WEBHOOKS)
def send(member: Member, webhook_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """Send it now."""
    try:
        service.send_again(member, webhook_id, delivery_id)
    except (Conflict, Unavailable) as problem:
        flash(problem.detail, "danger")
    return _to_delivery(member, webhook_id, delivery_id)


def _page(member: Member, webhook_id: UUID, secret: str | None = None) -> str:
    wanted, paging = read_query(DeliveryFilter), read_paging(PAGE_SIZE)
    endpoint = service.find(member.tenant_id, webhook_id)
    found, cursor = service.list_deliveries(member.tenant_id, webhook_id, wanted.state, paging)
    rows = [presenters.delivery_row(delivery, endpoint) for delivery in found]
    next_url = None
    if cursor:
        next_url = url_for(
            ".show", cursor=cursor, tenant_slug=member.tenant_slug, webhook_id=webhook_id, state=wanted.state
        )
    if wants_next_rows(paging):
        return render_template("webhooks/_deliveries.html", rows=rows, next_url=next_url, member=member)
    return render_template(
        "webhooks/show.html",
        member=member,
        shown=presenters.endpoint_row(endpoint, dict(service.workspaces_of(member.tenant_id))),
        rows=rows,
        next_url=next_url,
        filters=presenters.state_filters(),
        state=wanted.state,
        secret=secret,
        old_secret_until=secrets.old_until(member.tenant_id).get(webhook_id),
    )


def _form(member: Member, form: EndpointForm, webhook_id: UUID | None = None) -> str:
    form.offer(service.workspaces_of(member.tenant_id))
    return render_template(
        "webhooks/form.html", form=form, webhook_id=webhook_id, event_name=presenters.event_name, member=member
    )


def _to(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    return redirect(url_for(".show", tenant_slug=member.tenant_slug, webhook_id=webhook_id), 303)


def _to_delivery(member: Member, webhook_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    address = url_for(".show_delivery", tenant_slug=member.tenant_slug, webhook_id=webhook_id, delivery_id=delivery_id)
    return redirect(address, 303)
