"""Decisions about quarantined files. Each is one compare-and-set, has a reason, and is recorded.

Of two admins who decide at once one wins; the other gets a conflict that says who decided what. Nobody releases what
they uploaded themselves, and where the tenant requires two persons, one proposes and another confirms. An infected
file is released only where the tenant's rules allow it, and only with an explicit confirmation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from sqlalchemy import select

from portal import audit
from portal.assets import quarantine_orders
from portal.assets.models import Asset, AssetState, ScanResult
from portal.database import db, transaction
from portal.errors import Conflict, Forbidden, Invalid, NotFound, Problem
from portal.identity.models import User
from portal.inspection import scan_policy
from portal.quarantine import decision_log
from portal.quarantine.models import Decision, DecisionKind
from portal.tenancy import blocks
from portal.tenancy.service import Member
from portal.uploads.cancel import end_all_of
from portal.web.rate_limits import Rate, rates

SHORTEST_REASON, LONGEST_REASON = 3, 1000  # characters
RESCANS = Rate("quarantine-rescan", "1000 per hour")  # of a tenant: each reads a whole file
# Each file is a transaction of its own inside one request; more of them would keep a person and a web thread waiting.
MOST_AT_ONCE = 200
Action = Literal["rescan", "rescan_later", "delete", "release", "block", "unblock"]
_DESCRIPTIONS = {
    DecisionKind.RESCAN: _l("%(who)s ordered another scan of it: %(reason)s"),
    DecisionKind.DELETE: _l("%(who)s deleted it: %(reason)s"),
    DecisionKind.PROPOSE: _l("%(who)s proposed to release it: %(reason)s"),
    DecisionKind.RELEASE: _l("%(who)s released it: %(reason)s"),
    DecisionKind.BLOCK: _l("%(who)s blocked the person who uploaded it: %(reason)s"),
    DecisionKind.UNBLOCK: _l("%(who)s unblocked the person who uploaded it: %(reason)s"),
    DecisionKind.DOWNLOAD: _l("%(who)s downloaded it: %(reason)s"),
    DecisionKind.OUTCOME: _l("%(who)s had it scanned: %(reason)s"),
}


@dataclass(frozen=True)
class DecisionResult:
    """The result of a decision about one file; where ``done`` is False, ``message`` says why."""

    asset_id: UUID
    done: bool
    message: str


def checked_reason(reason: str) -> str:
    """The reason without blanks around it. Raises ``Invalid`` when it is too short, too long or has a NUL."""
    reason = reason.strip()
    if not SHORTEST_REASON <= len(reason) <= LONGEST_REASON or "\0" in reason:
        raise Invalid(
            _(
                "Give a reason of %(least)s to %(most)s characters; this one has %(count)s.",
                least=SHORTEST_REASON,
                most=LONGEST_REASON,
                count=len(reason),
            ),
            field="reason",
        )
    return reason


def decide(
    member: Member, action: Action, asset_id: UUID, reason: str, *, infected_too: bool = False
) -> DecisionResult:
    """Carry out one decision about one quarantined file.

    Raises ``Invalid`` for the reason, ``NotFound``, ``Forbidden`` for what the tenant's rules refuse, and ``Conflict``
    when somebody else has decided first.
    """
    reason = checked_reason(reason)
    if action in ("rescan", "rescan_later"):
        rates().count(RESCANS, str(member.tenant_id))
    with transaction(member.tenant_id):
        asset = _quarantined(member, asset_id)
        match action:
            case "rescan" | "rescan_later":
                message = _rescan(member, asset, reason, action)
            case "delete":
                message = _delete(member, asset, reason)
            case "release":
                message = _release(member, asset, reason, infected_too)
            case "block":
                message = _block(member, asset, reason)
            case "unblock":
                message = _unblock(member, asset, reason)
        uploader = asset.created_by
    if action == "block":
        end_all_of(member.tenant_id, uploader, member.user_id)
    return DecisionResult(asset_id, True, message)


def decide_all(
    member: Member, action: Action, asset_ids: Iterable[UUID], reason: str, *, infected_too: bool = False
) -> list[DecisionResult]:
    """The same decision about several files, each in a transaction of its own, so that one refusal stops no other.

    A person who uploaded several of them is blocked or unblocked once. Raises ``Invalid`` for the reason.
    """
    reason = checked_reason(reason)
    results: list[DecisionResult] = []
    people = set[UUID | None]()
    for asset_id in dict.fromkeys(asset_ids):
        try:
            if action in ("block", "unblock") and (person := _uploader(member, asset_id)) in people:
                results.append(DecisionResult(asset_id, True, _("The same person.")))
                continue
            results.append(decide(member, action, asset_id, reason, infected_too=infected_too))
            if action in ("block", "unblock"):
                people.add(person)
        except Problem as problem:
            results.append(DecisionResult(asset_id, False, problem.detail))
    return results


def set_block(member: Member, user_id: UUID, reason: str, *, blocked: bool) -> None:
    """Block or unblock a person's uploads, apart from any file. Raises as ``decide`` does."""
    reason = checked_reason(reason)
    with transaction(member.tenant_id):
        if blocked:
            blocks.block(member.tenant_id, user_id, member.user_id, reason)
        else:
            blocks.unblock(member.tenant_id, user_id)
        audit.record(
            member.tenant_id, member.user_id, f"uploads.{'' if blocked else 'un'}blocked", user_id, reason=reason
        )
    if blocked:
        end_all_of(member.tenant_id, user_id, member.user_id)


def _quarantined(member: Member, asset_id: UUID) -> Asset:
    """Raises ``NotFound``, and ``Conflict`` when the file was quarantined and is not any more."""
    here = Asset.tenant_id == member.tenant_id, Asset.id == asset_id
    # populate_existing: an earlier decision of the same request may have left the row in the session as it was then.
    fresh = {"populate_existing": True}
    asset = db.session.scalar(select(Asset).where(*here, *quarantine_orders.staying()), execution_options=fresh)
    if asset is not None:
        return asset
    other = db.session.scalar(select(Asset).where(*here))
    last = _last_decision(asset_id)
    if last is None and (other is None or other.state is not AssetState.QUARANTINED):
        raise NotFound(_("There is no such file in quarantine."))
    reason = last or _("Its 7 days are over and it is being removed.")
    raise Conflict(_("This file is not in quarantine any more. %(reason)s", reason=reason))


def _last_decision(asset_id: UUID) -> str | None:
    """A sentence that says who decided last, and why."""
    statement = (
        select(Decision.kind, Decision.reason, User.name, User.email)
        .join(User, User.id == Decision.actor_id)
        .where(Decision.asset_id == asset_id)
        .order_by(Decision.id.desc())
        .limit(1)
    )
    row = db.session.execute(statement).one_or_none()
    return row and str(_DESCRIPTIONS[row.kind]) % {"who": row.name or row.email, "reason": row.reason[:200]}


def _already_decided(asset: Asset) -> Conflict:
    last = _last_decision(asset.id)
    return Conflict(" ".join(filter(None, (_("Somebody else has already decided about this file."), last))))


def _rescan(member: Member, asset: Asset, reason: str, order: Literal["rescan", "rescan_later"]) -> str:
    if not quarantine_orders.order(asset, order, member.user_id):
        raise _already_decided(asset)
    if order == "rescan_later":
        decision_log.record(asset, DecisionKind.RESCAN, member.user_id, reason, when="later")
        return _("It will be scanned again after the next signature update.")
    decision_log.record(asset, DecisionKind.RESCAN, member.user_id, reason)
    return _("It will be scanned again in a moment.")


def _delete(member: Member, asset: Asset, reason: str) -> str:
    if not quarantine_orders.purge_now(asset):
        raise _already_decided(asset)
    decision_log.record(asset, DecisionKind.DELETE, member.user_id, reason, size_bytes=asset.size_bytes)
    return _("It is being removed. The space is free in a moment.")


def _release(member: Member, asset: Asset, reason: str, infected_too: bool) -> str:
    rules = scan_policy.rules_of(member.tenant_id)
    if asset.created_by == member.user_id:
        raise Forbidden(_("You uploaded this file yourself. Another administrator must decide whether to release it."))
    _check_infection(asset, rules, infected_too)
    if rules.two_persons and asset.proposed_by is None:
        if not quarantine_orders.propose(member.tenant_id, asset.id, member.user_id):
            raise _already_decided(asset)
        decision_log.record(asset, DecisionKind.PROPOSE, member.user_id, reason)
        return _("Your proposal was saved. Another administrator must confirm it.")
    if rules.two_persons and asset.proposed_by == member.user_id:
        raise Conflict(_("You proposed this release. Another administrator must confirm it."))
    # The order fails when a proposal was made or dropped since this transaction read the row: otherwise the second
    # person would confirm something other than what they saw.
    seen = Asset.proposed_by.is_not_distinct_from(asset.proposed_by)
    order = "release_infected" if infected_too else "release"
    if not quarantine_orders.order(asset, order, member.user_id, seen):
        raise _already_decided(asset)
    if infected_too:
        decision_log.record(asset, DecisionKind.RELEASE, member.user_id, reason, infected_too=True)
    else:
        decision_log.record(asset, DecisionKind.RELEASE, member.user_id, reason)
    return _("It will be scanned once more in a moment. If nothing is found, it is available again.")


def _check_infection(asset: Asset, rules: scan_policy.ScanRules, infected_too: bool) -> None:
    infected = asset.scan_result is ScanResult.INFECTED
    if (infected or infected_too) and not rules.release_infected:
        raise Forbidden(
            _(
                "This file is infected, and the rules of this tenant do not allow infected files to be released. "
                "Scan it again after the next signature update, or delete it."
            )
        )
    if infected and not infected_too:
        raise Conflict(
            _(
                "This file is infected (%(signature)s). Confirm explicitly that you want to release it anyway.",
                signature=asset.scan_signature,
            ),
            confirm="infected_too",
        )


def _block(member: Member, asset: Asset, reason: str) -> str:
    blocks.block(member.tenant_id, asset.created_by, member.user_id, reason)
    decision_log.record(asset, DecisionKind.BLOCK, member.user_id, reason, person_id=str(asset.created_by))
    return _("Uploads of this person are refused from now on.")


def _unblock(member: Member, asset: Asset, reason: str) -> str:
    blocks.unblock(member.tenant_id, asset.created_by)
    decision_log.record(asset, DecisionKind.UNBLOCK, member.user_id, reason, person_id=str(asset.created_by))
    return _("This person can upload again.")


def _uploader(member: Member, asset_id: UUID) -> UUID | None:
    return db.session.scalar(select(Asset.created_by).where(Asset.tenant_id == member.tenant_id, Asset.id == asset_id))
