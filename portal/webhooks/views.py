"""Pages of webhooks, for admins of a tenant."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.errors import Conflict, Invalid, Unavailable
from portal.identity.access import recently_proved
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Query, read_query
from portal.web.pages import is_fragment_wanted, wants_next_rows
from portal.web.paging import read_paging
from portal.webhooks import delivery as delivering
from portal.webhooks import secrets, service
from portal.webhooks.forms import EndpointForm
from portal.webhooks.models import DeliveryState

blueprint = Blueprint("webhooks", __name__)

HERE = "/t/<tenant_slug>/webhooks"
SHOWN = 20  # deliveries of a page


class Asked(Query):
    """What the list of deliveries is narrowed to."""

    state: DeliveryState | None = None


@blueprint.get(HERE)
@tenant(Permission.MANAGE_WEBHOOKS)
def index(member: Member) -> ResponseReturnValue:
    """Every webhook with how it is."""
    names = dict(service.workspaces_of(member.tenant_id))
    found = service.list_endpoints(member.tenant_id)
    return render_template(
        "webhooks/index.html", endpoints=found, workspaces=names, most=service.MOST, **_place(member)
    )


@blueprint.get(f"{HERE}/new")
@tenant(Permission.MANAGE_WEBHOOKS)
def new(member: Member) -> ResponseReturnValue:
    """The form for another."""
    return _form(member, EndpointForm(formdata=None))


@blueprint.post(f"{HERE}/new")
@tenant(Permission.MANAGE_WEBHOOKS)
@recently_proved
def add(member: Member) -> ResponseReturnValue:
    """Add it, and show its secret, this once."""
    form = EndpointForm().offer(service.workspaces_of(member.tenant_id))
    if form.validate_on_submit():
        try:
            endpoint, secret = service.add(member, form.wanted())
        except (Invalid, Conflict) as problem:
            form.blame(problem)
        else:
            return _page(member, endpoint.id, secret=secret), 201
    return _form(member, form), 422


@blueprint.get(f"{HERE}/<uuid:webhook_id>")
@tenant(Permission.MANAGE_WEBHOOKS)
def show(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """One webhook with what was sent lately; to htmx, which asks with a cursor, the next rows alone."""
    return _page(member, webhook_id)


@blueprint.get(f"{HERE}/<uuid:webhook_id>/edit")
@tenant(Permission.MANAGE_WEBHOOKS)
def edit(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """The form with what it is now."""
    return _form(member, EndpointForm(formdata=None).show(service.find(member.tenant_id, webhook_id)), webhook_id)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/edit")
@tenant(Permission.MANAGE_WEBHOOKS)
def change(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Change it."""
    form = EndpointForm().offer(service.workspaces_of(member.tenant_id))
    if form.validate_on_submit():
        try:
            service.change(member, webhook_id, asdict(form.wanted()))
        except Invalid as problem:
            form.blame(problem)
        else:
            flash(_("Saved."), "success")
            return _to(member, webhook_id)
    return _form(member, form, webhook_id), 422


@blueprint.post(f"{HERE}/<uuid:webhook_id>/switch")
@tenant(Permission.MANAGE_WEBHOOKS)
def switch(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Switch it on or off."""
    on = request.form.get("enabled") == "yes"
    service.change(member, webhook_id, {"enabled": on})
    flash(
        _("The webhook is enabled. Events that waited are sent now.") if on else _("The webhook is disabled."),
        "success",
    )
    return _to(member, webhook_id)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/secret")
@tenant(Permission.MANAGE_WEBHOOKS)
@recently_proved
def replace_secret(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    """Another secret, shown this once."""
    try:
        secret = service.replace_secret(member, webhook_id, keep_old=request.form.get("end_old") != "yes")[1]
    except Conflict as problem:
        flash(problem.detail, "danger")
        return _to(member, webhook_id)
    return _page(member, webhook_id, secret=secret)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/test")
@tenant(Permission.MANAGE_WEBHOOKS)
def test(member: Member, webhook_id: UUID) -> ResponseReturnValue:
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
    """Forget it."""
    service.remove(member, webhook_id)
    flash(_("The webhook was removed."), "success")
    return redirect(url_for(".index", tenant_slug=member.tenant_slug), 303)


@blueprint.get(f"{HERE}/<uuid:webhook_id>/deliveries/<uuid:delivery_id>")
@tenant(Permission.MANAGE_WEBHOOKS)
def show_delivery(member: Member, webhook_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """One delivery, with what is sent; while it is under way htmx asks for its state again."""
    delivery = service.find_delivery(member.tenant_id, webhook_id, delivery_id)
    endpoint = service.find(member.tenant_id, webhook_id)
    context: dict[str, Any] = {"delivery": delivery, "endpoint": endpoint, **_place(member)}
    if is_fragment_wanted():
        return render_template("webhooks/_delivery.html", **context)
    body = delivering.body_for(delivery)
    return render_template("webhooks/delivery.html", body=body.decode() if body else None, **context)


@blueprint.post(f"{HERE}/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/send")
@tenant(Permission.MANAGE_WEBHOOKS)
def send(member: Member, webhook_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    """Deliver it now."""
    try:
        service.send_again(member, webhook_id, delivery_id)
    except (Conflict, Unavailable) as problem:
        flash(problem.detail, "danger")
    return _to_delivery(member, webhook_id, delivery_id)


def _page(member: Member, webhook_id: UUID, secret: str | None = None) -> str:
    asked, paging = read_query(Asked), read_paging(SHOWN)
    deliveries, cursor = service.list_deliveries(member.tenant_id, webhook_id, asked.state, paging)
    here: dict[str, Any] = {"tenant_slug": member.tenant_slug, "webhook_id": webhook_id, "state": asked.state}
    next_url = url_for(".show", cursor=cursor, **here) if cursor else None
    context: dict[str, Any] = {"deliveries": deliveries, "next_url": next_url, **_place(member)}
    endpoint = service.find(member.tenant_id, webhook_id)
    if wants_next_rows(paging):
        return render_template("webhooks/_deliveries.html", endpoint=endpoint, **context)
    names = dict(service.workspaces_of(member.tenant_id))
    context |= {"workspaces": names, "old_until": secrets.old_until(member.tenant_id).get(webhook_id)}
    return render_template("webhooks/show.html", endpoint=endpoint, state=asked.state, secret=secret, **context)


def _form(member: Member, form: EndpointForm, webhook_id: UUID | None = None) -> str:
    form.offer(service.workspaces_of(member.tenant_id))
    return render_template("webhooks/form.html", form=form, webhook_id=webhook_id, **_place(member))


def _place(member: Member) -> dict[str, Any]:
    return {"tenant": {"slug": member.tenant_slug, "name": member.tenant_name}}


def _to(member: Member, webhook_id: UUID) -> ResponseReturnValue:
    return redirect(url_for(".show", tenant_slug=member.tenant_slug, webhook_id=webhook_id), 303)


def _to_delivery(member: Member, webhook_id: UUID, delivery_id: UUID) -> ResponseReturnValue:
    place: dict[str, Any] = {"tenant_slug": member.tenant_slug, "webhook_id": webhook_id, "delivery_id": delivery_id}
    return redirect(url_for(".show_delivery", **place), 303)
