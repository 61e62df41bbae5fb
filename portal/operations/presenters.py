"""The operations pages: cards with a state and facts, rows of tables, and what a button asks before it acts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from portal import sizes
from portal.inspection.scanner_status import SavedReport
from portal.lifecycle.periodic_tasks import Status
from portal.mail.models import EmailState
from portal.operations.dashboard import Dashboard, DatabaseFacts, Failure, OperatorAction, QueueFacts
from portal.storage.disk import Disk
from portal.storage.models import ManagedStore
from portal.tasks import Backlog
from portal.tenancy.switches import ActiveSwitch
from portal.web.formats import percent
from portal.web.state_mark import StateMark

LONG_TRANSACTION_SECONDS = 600  # it keeps vacuum from removing rows that were deleted since
FEW_CONNECTIONS = 0.9  # of max_connections: beyond, a restart of all processes at once may find none
SHORT_NAME = 8  # characters of a worker's name, which is a random number

_JOBS = {
    "take_in": _l("Check uploads"),
    "render_previews": _l("Make previews"),
    "rescan": _l("Scan again"),
    "purge": _l("Delete permanently"),
    "expire": _l("Expire uploads"),
    "clear_staging": _l("Clean up after uploads"),
    "send_email": _l("Send e-mails"),
    "send_invitation": _l("Write invitations"),
    "send_password_reset": _l("Write links for forgotten passwords"),
    "dispatch": _l("Dispatch events to webhooks"),
    "deliver": _l("Deliver to webhooks"),
    "probe": _l("Test storage"),
    "move": _l("Move files"),
    "scan_again": _l("Scan all files again"),
    "rescan_quarantined": _l("Scan quarantined files"),
    "release_quarantined": _l("Release from quarantine"),
    "release": _l("Release from quarantine"),
}
_REASONS = {
    "scanner_unavailable": _l("the virus scanner is unavailable"),
    "storage_unavailable": _l("the storage does not answer"),
    "spool_unavailable": _l("no disk space for checking files"),
    "error": _l("repeated errors"),
    "processing_failed": _l("too many attempts"),
    "size_mismatch": _l("wrong size"),
    "checksum_mismatch": _l("wrong checksum"),
    "content_mismatch": _l("content and name do not match"),
    "upload_missing": _l("the file is missing in the storage"),
    "given_up": _l("ended by an operator"),
}
_KINDS = {"previews": _l("Previews"), "check": _l("Check"), "upload": _l("Upload")}
_ACTIONS = {
    "uploads.paused": _l("paused uploads"),
    "uploads.resumed": _l("resumed uploads"),
    "tenant.read_only": _l("made this tenant read-only:"),
    "tenant.writable": _l("ended the read-only mode of"),
    "person.blocked": _l("blocked"),
    "person.unblocked": _l("unblocked"),
    "work.restarted": _l("retried everything that was waiting"),
    "failures.retry": _l("retried failures"),
    "failures.give_up": _l("gave up failures"),
    "chore.asked": _l("ran the periodic task"),
    "quota.override": _l("changed the limit of"),
    "rescan.started": _l("started a scan of all files"),
    "rescan.stopped": _l("stopped the scan of all files"),
    "scanner.reloaded": _l("reloaded the signatures"),
    "scanner.proved": _l("tested the scanner"),
    "scanner.update_asked": _l("requested new signatures"),
}


@dataclass(frozen=True)
class Confirmation:
    """What a dialog asks before a form is sent; ``tone`` is that of its button."""

    title: str
    text: str
    action: str
    tone: str = "danger"


@dataclass(frozen=True)
class Fact:
    """A labelled line of a card: text, a time after it, a note beside it, and a mark before it."""

    label: str
    text: str = ""
    at: datetime | None = None
    note: str = ""
    mark: StateMark | None = None
    title: str = ""  # the whole of a label that is shortened


@dataclass(frozen=True)
class Card:
    """One part of the installation; ``id`` names it in the page."""

    id: str
    title: str
    state: StateMark
    facts: Sequence[Fact]


@dataclass(frozen=True)
class WorkRow:
    """Unfinished tasks of one kind that wait for the same thing."""

    kind: str
    waiting_for: str
    due: int
    later: int
    oldest: str


@dataclass(frozen=True)
class FailureRow:
    """What failed for one reason. ``retry`` is the label of the button; None where nothing can be done any more."""

    failure: Failure
    kind: str
    reason: str
    total: str
    retry: str | None
    give_up: Confirmation | None


@dataclass(frozen=True)
class PeriodicTaskRow:
    """The last run of one periodic task."""

    status: Status
    state: StateMark


@dataclass(frozen=True)
class ActionRow:
    """What an operator did: who (``is_person``, or Stowage), a verb, what it was done to, its reason or number."""

    at: datetime
    who: str
    is_person: bool
    verb: str
    target: str
    note: str


@dataclass(frozen=True)
class DashboardView:
    """The part of the operations page that updates itself. ``retry_all`` is None while nothing waits."""

    cards: Sequence[Card]
    work: Sequence[WorkRow]
    failures: Sequence[FailureRow]
    periodic_tasks: Sequence[PeriodicTaskRow]
    retry_all: Confirmation | None


def dashboard(read: Dashboard, batch: int) -> DashboardView:
    """``batch``: on how many files one click on a failure acts."""
    return DashboardView(
        cards=[
            _scheduler_card(read),
            _workers_card(read.queues),
            _storage_card(read.store, read.disk, read.counts),
            _database_card(read.database),
            _email_card(read.emails),
            _webhook_card(read.webhooks),
            _file_card(read.scanner, read.counts),
        ],
        work=[_work_row(part) for part in read.work],
        failures=[_failure_row(failure, batch) for failure in read.failures],
        periodic_tasks=[PeriodicTaskRow(status, _run_mark(status)) for status in read.periodic_tasks],
        retry_all=_retry_all(sum(part.due + part.later for part in read.work)),
    )


def _good(text: str) -> StateMark:
    return StateMark("good", "circle-check", text)


def _warn(text: str) -> StateMark:
    return StateMark("warn", "alert-triangle", text)


def _bad(text: str) -> StateMark:
    return StateMark("bad", "alert-triangle", text)


def _scheduler_card(read: Dashboard) -> Card:
    state = _bad(_("It has stopped")) if read.scheduler.is_late else _good(_("It is running"))
    last = Fact(_("Last pass"), "" if read.scheduler.at else _("never"), read.scheduler.at)
    return Card("scheduler", _("Scheduler"), state, [last, Fact(_("Result"), str(read.scheduler.result))])


def _workers_card(queues: QueueFacts) -> Card:
    if not queues.is_available:
        state = _bad(_("Valkey does not answer. Uploads wait until it does."))
        return Card("workers", _("Workers"), state, [])
    count = len(queues.workers)
    running = _good(ngettext("%(num)s is running", "%(num)s are running", count))
    facts = [
        Fact(
            worker.name[:SHORT_NAME],
            f"{_job(worker.job) if worker.job else _('idle')}, {_('last seen')}",
            worker.heard_at,
            title=worker.name,
        )
        for worker in queues.workers
    ]
    depths = " · ".join(f"{name} {depth}" for name, depth in queues.depths.items())
    facts.append(Fact(_("Queued jobs"), depths))
    return Card("workers", _("Workers"), running if count else _bad(_("None is running")), facts)


def _storage_card(store: ManagedStore | None, disk: Disk | None, counts: dict[tuple[str, str], int]) -> Card:
    if store is None:
        state = StateMark("warn", "shield-question", _("Not checked yet"))
    elif store.reason is not None:
        state = _bad(str(store.reason))
    else:
        state = _good(_("The managed storage answers"))
    healths = {
        "healthy": _("%(num)s healthy", num=counts.get(("store", "healthy"), 0)),
        "unhealthy": _("%(num)s unhealthy", num=counts.get(("store", "unhealthy"), 0)),
        "probing": _("%(num)s being tested", num=counts.get(("store", "probing"), 0)),
        "unknown": _("%(num)s not tested", num=counts.get(("store", "unknown"), 0)),
    }
    buckets = ", ".join(text for health, text in healths.items() if counts.get(("store", health)))
    facts = [Fact(_("Checked"), at=store.probed_at)] if store is not None else []
    facts.append(Fact(_("Connected buckets"), buckets or _("none")))
    if disk is not None:
        free = _(
            "%(free)s of %(total)s (%(percent)s)",
            free=sizes.format_size(disk.free),
            total=sizes.format_size(disk.total),
            percent=percent(100 * disk.share),
        )
        facts.append(Fact(_("Free disk"), free, mark=_bad(_("Uploads are refused")) if disk.is_full else None))
    return Card("storage", _("Storage"), state, facts)


def _database_card(facts: DatabaseFacts) -> Card:
    if facts.oldest_seconds > LONG_TRANSACTION_SECONDS:
        state = _warn(_("A transaction has been open for too long"))
    elif facts.connections > FEW_CONNECTIONS * facts.max_connections:
        state = _warn(_("Almost no connections are left"))
    else:
        state = _good(_("It answers"))
    backup = _("Stowage does not make backups yet. Back up the database and the bucket yourself.")
    return Card(
        "database",
        _("Database"),
        state,
        [
            Fact(_("Size"), sizes.format_size(facts.bytes)),
            Fact(_("Connections"), _("%(n)s of %(most)s", n=facts.connections, most=facts.max_connections)),
            Fact(_("Oldest transaction"), age(facts.oldest_seconds)),
            Fact(_("Last backup"), _("never"), note=backup),
        ],
    )


def _email_card(emails: dict[EmailState, int]) -> Card:
    failed, unsent = emails.get(EmailState.GIVEN_UP, 0), emails.get(EmailState.KEPT, 0)
    text = ngettext("%(num)s e-mail could not be sent", "%(num)s e-mails could not be sent", failed)
    waiting = emails.get(EmailState.WAITING, 0) + emails.get(EmailState.SENDING, 0)
    facts = [Fact(_("Waiting"), str(waiting)), Fact(_("Sent"), str(emails.get(EmailState.SENT, 0)))]
    if unsent:
        facts.append(Fact(_("Stored, not sent"), str(unsent), note=_("no mail server is configured")))
    return Card("email", _("E-mail"), _bad(text) if failed else _good(_("Everything was sent or will be")), facts)


def _webhook_card(counts: dict[tuple[str, str], int]) -> Card:
    failing = counts.get(("endpoint", "failing"), 0)
    text = ngettext("%(num)s webhook fails", "%(num)s webhooks fail", failing)
    delivered, failed = counts.get(("delivery", "delivered"), 0), counts.get(("delivery", "failed"), 0)
    return Card(
        "webhooks",
        _("Webhooks"),
        _warn(text) if failing else _good(_("None fails")),
        [
            Fact(_("Waiting"), str(counts.get(("delivery", "waiting"), 0))),
            Fact(_("24 hours"), _("%(n)s delivered, %(m)s given up", n=delivered, m=failed)),
            Fact(_("Disabled"), str(counts.get(("endpoint", "disabled"), 0))),
        ],
    )


def _file_card(report: SavedReport | None, counts: dict[tuple[str, str], int]) -> Card:
    unscanned = counts.get(("unscanned", "off"), 0) + counts.get(("unscanned", "no_signatures"), 0)
    nearly_full = counts.get(("quota", "high"), 0) + counts.get(("quota", "critical"), 0)
    facts = [
        Fact(_("Uploading"), str(counts.get(("open_uploads", ""), 0))),
        # "held" is what the database function installation_counts() calls files in quarantine.
        Fact(_("Quarantined"), str(counts.get(("held", ""), 0))),
        Fact(_("Not scanned"), str(unscanned)),
        Fact(_("Nearly full"), ngettext("%(num)s limit", "%(num)s limits", nearly_full)),
    ]
    if report is not None and report.signatures_at is not None:
        facts.insert(0, Fact(_("Signatures"), at=report.signatures_at))
    return Card("files", _("Files and virus scanner"), scanner_mark(report), facts)


def scanner_mark(report: SavedReport | None) -> StateMark:
    """The state of the virus scanner."""
    if report is None:
        return StateMark("warn", "shield-question", _("Not checked yet"))
    match report.state:
        case "ready" if report.is_stale:
            return _warn(_("It works, with old signatures"))
        case "ready":
            return StateMark("good", "shield-check", _("It works"))
        case "off":
            return StateMark("warn", "shield-question", _("Off: files are not scanned"))
        case "no_signatures":
            return StateMark("warn", "shield-question", _("No signatures: files are not scanned"))
    return _bad(_("Unavailable: uploads wait for it"))


def _work_row(part: Backlog) -> WorkRow:
    waiting_for = _reason(part.waiting_for) if part.waiting_for else "–"
    return WorkRow(_job(part.kind), waiting_for, part.due, part.later, age(part.oldest_seconds))


def _failure_row(failure: Failure, batch: int) -> FailureRow:
    kind, reason = str(_KINDS[failure.kind]), _reason(failure.code)
    if failure.kind == "upload":
        return FailureRow(failure, kind, reason, "–", None, None)
    many = min(failure.number, batch)
    return FailureRow(failure, kind, reason, str(failure.number), _("Retry %(n)s", n=many), _give_up(failure, many))


def _give_up(failure: Failure, many: int) -> Confirmation:
    if failure.kind == "previews":
        text = ngettext("%(num)s file will have no previews.", "%(num)s files will have no previews.", many)
    else:
        text = ngettext(
            "The check of %(num)s file ends as failed, and the person who uploaded it is notified.",
            "The checks of %(num)s files end as failed, and the people who uploaded them are notified.",
            many,
        )
    return Confirmation(_("Give up on these files?"), text, _("Give up"))


def _run_mark(status: Status) -> StateMark:
    match status.state:
        case "ok":
            return _good(_("Done"))
        case "failed":
            return _bad(_("Failed"))
        case "running":
            return StateMark("busy", "loader-2", _("Running"), spins=True)
    return StateMark("calm", "clock", _("Not run yet"))


def _retry_all(waiting: int) -> Confirmation | None:
    if not waiting:
        return None
    text = ngettext(
        "%(num)s task waits. It is tried now instead of later. Running tasks continue.",
        "%(num)s tasks wait. They are tried now instead of later. Running tasks continue.",
        waiting,
    )
    return Confirmation(_("Retry everything that waits?"), text, _("Retry now"), tone="calm")


def _job(kind: str) -> str:
    return str(_JOBS.get(kind, kind))


def _reason(code: str) -> str:
    return str(_REASONS.get(code, code.replace("_", " ")))


def age(seconds: float) -> str:
    """A span of time in the largest unit that keeps it readable."""
    if seconds < 90:
        return _("%(n)s s", n=int(seconds))
    if seconds < 90 * 60:
        return _("%(n)s min", n=int(seconds / 60))
    if seconds < 48 * 3600:
        return _("%(n)s h", n=int(seconds / 3600))
    return _("%(n)s days", n=int(seconds / 86400))


def action_rows(actions: Sequence[OperatorAction]) -> list[ActionRow]:
    """The log of operators' actions."""
    return [_action_row(each) for each in actions]


def _action_row(each: OperatorAction) -> ActionRow:
    reason, rows = each.facts.get("reason"), each.facts.get("rows")
    return ActionRow(
        at=each.at,
        who=each.who or _("Stowage itself"),
        is_person=bool(each.who),
        verb=str(_ACTIONS.get(each.action, each.action)),
        target=each.target or str(each.facts.get("name", "")),
        note=f"“{reason}”" if reason else f"({rows})" if rows is not None else "",
    )


@dataclass(frozen=True)
class ReadOnlyTenant:
    """A tenant that an operator has made read-only, with the reason its members see."""

    slug: str
    reason: str


@dataclass(frozen=True)
class Switches:
    """The forms of the operations page, and what they ask before they are sent."""

    pause: ActiveSwitch | None
    read_only: Sequence[ReadOnlyTenant]
    pause_question: Confirmation
    read_only_question: Confirmation
    block_question: Confirmation


def switches(
    pause: ActiveSwitch | None, read_only: Sequence[ActiveSwitch], slugs: dict[UUID, str], running_uploads: int
) -> Switches:
    """``slugs`` names the tenants of ``read_only`` by their ids."""
    running = ngettext(
        "%(num)s running upload can finish. Nobody in any tenant can start another until you resume uploads.",
        "%(num)s running uploads can finish. Nobody in any tenant can start another until you resume uploads.",
        running_uploads,
    )
    close = _(
        "Its members can view and download files. Every change is refused with your reason until you end read-only "
        "mode here."
    )
    block = _(
        "All their sessions and tokens stop working at once, in all their tenants. Their files stay. You can unblock "
        "them here."
    )
    return Switches(
        pause=pause,
        read_only=[ReadOnlyTenant(slugs.get(switch.scope, ""), switch.reason) for switch in read_only],
        pause_question=Confirmation(_("Pause all uploads?"), running, _("Pause uploads")),
        read_only_question=Confirmation(_("Make this tenant read-only?"), close, _("Make read-only")),
        block_question=Confirmation(_("Block this person?"), block, _("Block")),
    )
