"""The operator's pages: what goes on, and the switches. The live part asks for itself while somebody looks at it."""

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
from portal.inspection import scanner_status
from portal.lifecycle import periodic_tasks
from portal.mail import service as mail
from portal.operations import dashboard, forms, scanner, service
from portal.tenancy import switches
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.rate_limits import Rate, rates
from portal.webhooks import dispatch

blueprint = Blueprint("operations", __name__)
HEAVY = Rate("operator-heavy", "60 per hour")  # what keeps scanner, scheduler or workers busy


@blueprint.get("/operator")
@operator
def index(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """Everything at a glance, the switches, and what operators did last."""
    thrown = switches.thrown().values()
    closed = [switch for switch in thrown if switch.name == switches.READ_ONLY]
    return render_template(
        "operations/index.html",
        **_live(),
        pause=switches.paused(),
        closed=closed,
        slugs=dashboard.tenants_by_id({switch.scope for switch in closed}),
        blocked=identity.list_blocked(dashboard.LONGEST_LIST),
        acts=dashboard.acts(),
    )


@blueprint.get("/operator/board")
@operator
def live(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """The part of the page that changes by itself."""
    return render_template("operations/_board.html", **_live())


def _live() -> dict[str, Any]:
    return {
        "work": dashboard.backlog(),
        "counts": dashboard.counts(),
        "failures": dashboard.failures(),
        "database": dashboard.database_facts(),
        "queues": dashboard.queues(),
        "scheduler": dashboard.scheduler(),
        "proof": scanner_status.last(),
        "checks": periodic_tasks.statuses(),
        "store": dashboard.managed_store(),
        "disk": dashboard.free_disk(),
        "letters": mail.counts(),
        "webhooks": dispatch.counts(),
        "batch": service.BATCH,
    }


@blueprint.post("/operator/pause")
@operator
def pause(user: Person) -> ResponseReturnValue:
    """No upload begins anywhere."""
    return _done(
        lambda: service.pause_uploads(request.form.get("reason", ""), user.id),
        lambda _nothing: _(
            "Uploads are paused. Running uploads continue; within a few seconds nobody can start another."
        ),
    )


@blueprint.post("/operator/resume")
@operator
def resume(user: Person) -> ResponseReturnValue:
    """Uploads begin again."""
    return _done(lambda: service.resume_uploads(user.id), lambda _nothing: _("Uploads are resumed."))


@blueprint.post("/operator/tenants/close")
@operator
def close_tenant(user: Person) -> ResponseReturnValue:
    """A tenant can only be read."""
    form = request.form
    return _done(
        lambda: service.close_tenant(form.get("slug", ""), form.get("reason", ""), user.id),
        lambda tenant: _("%(name)s is read-only now.", name=tenant.name),
    )


@blueprint.post("/operator/tenants/open")
@operator
def open_tenant(user: Person) -> ResponseReturnValue:
    """A tenant can be changed again."""
    return _done(
        lambda: service.open_tenant(request.form.get("slug", ""), user.id),
        lambda tenant: _("%(name)s can be changed again.", name=tenant.name),
    )


@blueprint.post("/operator/tenants/raise")
@operator
def raise_quota(user: Person) -> ResponseReturnValue:
    """More space for a tenant until a day."""
    return _done(
        lambda: service.raise_quota(forms.read_raise(request.form), user.id),
        lambda tenant: _("The limit of %(name)s is changed until that day.", name=tenant.name),
    )


@blueprint.post("/operator/people/block")
@operator
def block(user: Person) -> ResponseReturnValue:
    """A person's sessions and tokens stop."""
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
    """They may log in again."""
    return _done(
        lambda: service.unblock_person(request.form.get("email", ""), user.id),
        lambda person: _("%(email)s can log in again.", email=person.email),
    )


@blueprint.post("/operator/restart")
@operator
def restart(user: Person) -> ResponseReturnValue:
    """What waits for its turn is due now."""
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


@blueprint.post("/operator/chores")
@operator
def run_periodic_task(user: Person) -> ResponseReturnValue:
    """Let the scheduler run a periodic task within seconds."""
    rates().count(HEAVY, str(user.id))
    return _done(
        lambda: service.request_periodic_task(request.form.get("name", ""), user.id),
        lambda name: _("The scheduler runs “%(name)s” within a few seconds.", name=name),
    )


def _done(act: Callable[[], Any], words: Callable[[Any], str], page: str = "operations.index") -> ResponseReturnValue:
    """Do it and say so on the page; a refusal is said there, too."""
    try:
        flash(words(act()), "success")
    except (Invalid, Conflict, NotFound) as refusal:
        flash(refusal.detail, "danger")
    return redirect(url_for(page), 303)


@blueprint.get("/operator/scanner", endpoint="scanner")
@operator
def show_scanner(user: Person) -> ResponseReturnValue:  # noqa: ARG001
    """The scanner of the whole installation."""
    return render_template("operations/scanner.html", scanner=scanner.of_all())


@blueprint.post("/operator/scanner/prove")
@operator
def prove_scanner(user: Person) -> ResponseReturnValue:
    """Let it find EICAR."""
    rates().count(HEAVY, str(user.id))
    return _done(lambda: scanner.prove(user.id), lambda proof: proof.detail, "operations.scanner")


@blueprint.post("/operator/scanner/reload")
@operator
def reload_scanner(user: Person) -> ResponseReturnValue:
    """Let it read its signatures again."""
    rates().count(HEAVY, str(user.id))
    return _done(lambda: scanner.reload(user.id), lambda proof: proof.detail, "operations.scanner")


@blueprint.post("/operator/scanner/update")
@operator
def update_signatures(user: Person) -> ResponseReturnValue:
    """Let freshclam look now."""
    rates().count(HEAVY, str(user.id))
    words = _("freshclam checks for new signatures now. If there are any, the scanner reloads them by itself.")
    return _done(lambda: scanner.update(user.id), lambda _nothing: words, "operations.scanner")


@blueprint.post("/operator/scanner/rescan")
@operator
def start_rescan(user: Person) -> ResponseReturnValue:
    """Scan everything again."""
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
    """Stop that."""
    return _done(lambda: full_scans.stop(user.id), lambda _nothing: _("The scan was stopped."), "operations.scanner")


@blueprint.get("/t/<tenant_slug>/scanner")
@tenant(Permission.REVIEW_QUARANTINE)
def tenant_scanner(member: Member) -> ResponseReturnValue:
    """The scanner as a tenant's admins see it."""
    return render_template("operations/tenant_scanner.html", scanner=scanner.of_tenant(member.tenant_id))
