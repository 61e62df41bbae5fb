"""The operator's pages: the dashboard, the switches, the virus scanner."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _
from flask_babel import ngettext

from portal.assets import full_scans
from portal.errors import Conflict, Invalid, NotFound
from portal.identity import service as identity
from portal.identity.access import operator
from portal.identity.service import Person
from portal.inspection.scanner_status import SavedReport
from portal.operations import dashboard, forms, presenters, scanner, scanner_presenters, service
from portal.tenancy import switches
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.rate_limits import Rate, rates

blueprint = Blueprint("operations", __name__)
LISTED_PEOPLE = 50  # blocked ones; more would push the forms out of sight
HEAVY = Rate("operator-heavy", "60 per hour")  # of a person: each keeps scanner, scheduler or workers busy


@blueprint.get("/operator")
@operator
def index(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """The dashboard, the switches, and what operators did last."""
    read = dashboard.read()
    return render_template(
        "operations/index.html",
        dashboard=presenters.dashboard(read, service.BATCH),
        switches=_switches(read.counts.get(("open_uploads", ""), 0)),
        blocked=identity.list_blocked(LISTED_PEOPLE),
        actions=presenters.action_rows(dashboard.actions()),
    )


def _switches(running_uploads: int) -> presenters.Switches:
    read_only = [switch for switch in switches.active().values() if switch.name == switches.READ_ONLY]
    slugs = dashboard.tenants_by_id({switch.scope for switch in read_only})
    return presenters.switches(switches.paused(), read_only, slugs, running_uploads)


@blueprint.get("/operator/dashboard")
@operator
def live(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """The part of the page that updates itself."""
    view = presenters.dashboard(dashboard.read(), service.BATCH)
    return render_template("operations/_dashboard.html", dashboard=view)


@blueprint.post("/operator/pause")
@operator
def pause(user: Person) -> ResponseReturnValue:
    """Pause uploads in all tenants."""
    return _done(
        lambda: service.pause_uploads(request.form.get("reason", ""), user.id),
        lambda _nothing: _("Uploads are paused. Running uploads continue; nobody can start another."),
    )


@blueprint.post("/operator/resume")
@operator
def resume(user: Person) -> ResponseReturnValue:
    """Accept uploads again."""
    return _done(lambda: service.resume_uploads(user.id), lambda _nothing: _("Uploads are resumed."))


@blueprint.post("/operator/tenants/close")
@operator
def close_tenant(user: Person) -> ResponseReturnValue:
    """Make a tenant read-only."""
    form = request.form
    return _done(
        lambda: service.close_tenant(form.get("slug", ""), form.get("reason", ""), user.id),
        lambda tenant: _("%(name)s is read-only now.", name=tenant.name),
    )


@blueprint.post("/operator/tenants/open")
@operator
def open_tenant(user: Person) -> ResponseReturnValue:
    """End the read-only mode of a tenant."""
    return _done(
        lambda: service.open_tenant(request.form.get("slug", ""), user.id),
        lambda tenant: _("%(name)s can be changed again.", name=tenant.name),
    )


@blueprint.post("/operator/tenants/raise")
@operator
def raise_quota(user: Person) -> ResponseReturnValue:
    """Give a tenant another limit until a day."""
    return _done(
        lambda: service.raise_quota(forms.read_temporary_limit(request.form), user.id),
        lambda tenant: _("The limit of %(name)s is changed until that day.", name=tenant.name),
    )


@blueprint.post("/operator/people/block")
@operator
def block(user: Person) -> ResponseReturnValue:
    """Block a person: their sessions and tokens stop working."""
    form = request.form
    return _done(
        lambda: service.block_person(form.get("email", ""), form.get("reason", ""), user.id),
        lambda person: _(
            "%(email)s is blocked. All their sessions and tokens have stopped working.", email=person.email
        ),
    )


@blueprint.post("/operator/people/unblock")
@operator
def unblock(user: Person) -> ResponseReturnValue:
    """Unblock a person."""
    return _done(
        lambda: service.unblock_person(request.form.get("email", ""), user.id),
        lambda person: _("%(email)s can log in again.", email=person.email),
    )


@blueprint.post("/operator/restart")
@operator
def restart(user: Person) -> ResponseReturnValue:
    """Make every waiting task due now."""
    return _done(
        lambda: service.restart_stuck(user.id),
        lambda due: ngettext(
            "%(num)s waiting task is due now.",
            "%(num)s waiting tasks are due now.",
            due,
        ),
    )


@blueprint.post("/operator/failures")
@operator
def failures(user: Person) -> ResponseReturnValue:
    """Retry or give up what failed for one reason."""
    form = request.form
    return _done(
        lambda: service.act_on_failures(form.get("kind", ""), form.get("code", ""), form.get("act", ""), user.id),
        lambda count: ngettext("%(num)s file was processed.", "%(num)s files were processed.", count),
    )


@blueprint.post("/operator/periodic-tasks")
@operator
def run_periodic_task(user: Person) -> ResponseReturnValue:
    """Make a periodic task due now."""
    rates().count(HEAVY, str(user.id))
    return _done(
        lambda: service.request_periodic_task(request.form.get("name", ""), user.id),
        lambda name: _("The scheduler will run “%(name)s” within a few seconds.", name=name),
    )


def _done(act: Callable[[], Any], message: Callable[[Any], str], page: str = "operations.index") -> ResponseReturnValue:
    """Carry out ``act`` and show the message for its result, or the refusal, on the page."""
    try:
        flash(message(act()), "success")
    except (Invalid, Conflict, NotFound) as refusal:
        flash(refusal.detail, "danger")
    return redirect(url_for(page), 303)


@blueprint.get("/operator/scanner", endpoint="scanner")
@operator
def show_scanner(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """The scanner for operators."""
    overview = scanner.of_all()
    return render_template(
        "operations/scanner.html",
        overview=overview,
        card=scanner_presenters.scanner_card(overview),
        days=overview.days,
        running=scanner_presenters.running_scan(overview.running),
        scans=scanner_presenters.scan_rows(overview.rescans),
    )


@blueprint.post("/operator/scanner/test")
@operator
def test_scanner(user: Person) -> ResponseReturnValue:
    """Check it now, with the EICAR test file."""
    rates().count(HEAVY, str(user.id))
    return _show_report(lambda: scanner.test(user.id))


@blueprint.post("/operator/scanner/reload")
@operator
def reload_scanner(user: Person) -> ResponseReturnValue:
    """Make it read its signatures again."""
    rates().count(HEAVY, str(user.id))
    return _show_report(lambda: scanner.reload(user.id))


def _show_report(act: Callable[[], SavedReport]) -> ResponseReturnValue:
    try:
        report = act()
        flash(str(report.detail), "success" if report.state == "ready" else "danger")
    except Conflict as refusal:
        flash(refusal.detail, "danger")
    return redirect(url_for("operations.scanner"), 303)


@blueprint.post("/operator/scanner/update")
@operator
def update_signatures(user: Person) -> ResponseReturnValue:
    """Make freshclam check for new signatures now."""
    rates().count(HEAVY, str(user.id))
    message = _("freshclam checks for new signatures now. If there are any, the scanner reloads them by itself.")
    return _done(lambda: scanner.update(user.id), lambda _nothing: message, "operations.scanner")


@blueprint.post("/operator/scanner/rescan")
@operator
def start_rescan(user: Person) -> ResponseReturnValue:
    """Start a scan of all files."""
    rates().count(HEAVY, str(user.id))
    return _done(
        lambda: full_scans.start("operator", user.id),
        lambda found: ngettext(
            "%(num)s file is scanned again, after all other work.",
            "%(num)s files are scanned again, after all other work.",
            found.total,
        ),
        "operations.scanner",
    )


@blueprint.post("/operator/scanner/rescan/stop")
@operator
def stop_rescan(user: Person) -> ResponseReturnValue:
    """Stop the scan of all files."""
    return _done(lambda: full_scans.stop(user.id), lambda _nothing: _("The scan was stopped."), "operations.scanner")


@blueprint.get("/t/<tenant_slug>/scanner")
@tenant(Permission.REVIEW_QUARANTINE)
def tenant_scanner(member: Member) -> ResponseReturnValue:
    """The scanner for the admins of a tenant."""
    overview = scanner.of_tenant(member.tenant_id)
    card = scanner_presenters.scanner_card(overview)
    return render_template("operations/tenant_scanner.html", card=card, days=overview.days)
