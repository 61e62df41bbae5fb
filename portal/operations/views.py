"""The operator's pages: the dashboard, the switches, the virus scanner."""

from __future__ import annotations

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
from portal.web.pages import flash_refusal
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
    with flash_refusal(Invalid, Conflict, NotFound):
        service.pause_uploads(request.form.get("reason", ""), user.id)
        flash(_("Uploads are paused. Running uploads continue; nobody can start another."), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/resume")
@operator
def resume(user: Person) -> ResponseReturnValue:
    """Accept uploads again."""
    with flash_refusal(Invalid, Conflict, NotFound):
        service.resume_uploads(user.id)
        flash(_("Uploads are resumed."), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/tenants/close")
@operator
def close_tenant(user: Person) -> ResponseReturnValue:
    """Make a tenant read-only."""
    with flash_refusal(Invalid, Conflict, NotFound):
        closed = service.close_tenant(request.form.get("slug", ""), request.form.get("reason", ""), user.id)
        flash(_("%(name)s is read-only now.", name=closed.name), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/tenants/open")
@operator
def open_tenant(user: Person) -> ResponseReturnValue:
    """End the read-only mode of a tenant."""
    with flash_refusal(Invalid, Conflict, NotFound):
        opened = service.open_tenant(request.form.get("slug", ""), user.id)
        flash(_("%(name)s can be changed again.", name=opened.name), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/tenants/raise")
@operator
def raise_quota(user: Person) -> ResponseReturnValue:
    """Give a tenant another limit until a day."""
    with flash_refusal(Invalid, Conflict, NotFound):
        raised = service.raise_quota(forms.read_temporary_limit(request.form), user.id)
        flash(_("The limit of %(name)s is changed until that day.", name=raised.name), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/people/block")
@operator
def block(user: Person) -> ResponseReturnValue:
    """Block a person: their sessions and tokens stop working."""
    with flash_refusal(Invalid, Conflict, NotFound):
        blocked = service.block_person(request.form.get("email", ""), request.form.get("reason", ""), user.id)
        message = _("%(email)s is blocked. All their sessions and tokens have stopped working.", email=blocked.email)
        flash(message, "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/people/unblock")
@operator
def unblock(user: Person) -> ResponseReturnValue:
    """Unblock a person."""
    with flash_refusal(Invalid, Conflict, NotFound):
        unblocked = service.unblock_person(request.form.get("email", ""), user.id)
        flash(_("%(email)s can log in again.", email=unblocked.email), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/restart")
@operator
def restart(user: Person) -> ResponseReturnValue:
    """Make every waiting task due now."""
    with flash_refusal(Invalid, Conflict, NotFound):
        due = service.restart_stuck(user.id)
        flash(ngettext("%(num)s waiting task is due now.", "%(num)s waiting tasks are due now.", due), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/failures")
@operator
def failures(user: Person) -> ResponseReturnValue:
    """Retry or give up what failed for one reason."""
    form = request.form
    with flash_refusal(Invalid, Conflict, NotFound):
        count = service.act_on_failures(form.get("kind", ""), form.get("code", ""), form.get("act", ""), user.id)
        flash(ngettext("%(num)s file was processed.", "%(num)s files were processed.", count), "success")
    return redirect(url_for("operations.index"), 303)


@blueprint.post("/operator/periodic-tasks")
@operator
def run_periodic_task(user: Person) -> ResponseReturnValue:
    """Make a periodic task due now."""
    rates().count(HEAVY, str(user.id))
    with flash_refusal(Invalid, Conflict, NotFound):
        name = service.request_periodic_task(request.form.get("name", ""), user.id)
        flash(_("The scheduler will run “%(name)s” within a few seconds.", name=name), "success")
    return redirect(url_for("operations.index"), 303)


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
    with flash_refusal():
        _flash_report(scanner.test(user.id))
    return redirect(url_for("operations.scanner"), 303)


@blueprint.post("/operator/scanner/reload")
@operator
def reload_scanner(user: Person) -> ResponseReturnValue:
    """Make it read its signatures again."""
    rates().count(HEAVY, str(user.id))
    with flash_refusal():
        _flash_report(scanner.reload(user.id))
    return redirect(url_for("operations.scanner"), 303)


def _flash_report(report: SavedReport) -> None:
    flash(str(report.detail), "success" if report.state == "ready" else "danger")


@blueprint.post("/operator/scanner/update")
@operator
def update_signatures(user: Person) -> ResponseReturnValue:
    """Make freshclam check for new signatures now."""
    rates().count(HEAVY, str(user.id))
    with flash_refusal(Invalid, Conflict, NotFound):
        scanner.update(user.id)
        message = _("freshclam checks for new signatures now. If there are any, the scanner reloads them by itself.")
        flash(message, "success")
    return redirect(url_for("operations.scanner"), 303)


@blueprint.post("/operator/scanner/rescan")
@operator
def start_rescan(user: Person) -> ResponseReturnValue:
    """Start a scan of all files."""
    rates().count(HEAVY, str(user.id))
    with flash_refusal(Invalid, Conflict, NotFound):
        found = full_scans.start("operator", user.id)
        message = ngettext(
            "%(num)s file is scanned again, after all other work.",
            "%(num)s files are scanned again, after all other work.",
            found.total,
        )
        flash(message, "success")
    return redirect(url_for("operations.scanner"), 303)


@blueprint.post("/operator/scanner/rescan/stop")
@operator
def stop_rescan(user: Person) -> ResponseReturnValue:
    """Stop the scan of all files."""
    with flash_refusal(Invalid, Conflict, NotFound):
        full_scans.stop(user.id)
        flash(_("The scan was stopped."), "success")
    return redirect(url_for("operations.scanner"), 303)


@blueprint.get("/t/<tenant_slug>/scanner")
@tenant(Permission.REVIEW_QUARANTINE)
def tenant_scanner(member: Member) -> ResponseReturnValue:
    """The scanner for the admins of a tenant."""
    overview = scanner.of_tenant(member.tenant_id)
    card = scanner_presenters.scanner_card(overview)
    return render_template("operations/tenant_scanner.html", card=card, days=overview.days)
