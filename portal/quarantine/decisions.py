"""What admins decide about quarantined files. Each decision is one compare-and-set, with a reason, and is written down.

Two who decide at once: one wins, the other is told who did what. Nobody releases what they uploaded themselves, and
where the tenant demands two persons the first proposes and another confirms. What the scanner calls infected is
released only where the tenant's rules allow it at all, and when that is confirmed expressly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
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
from portal.quarantine import audit as records
from portal.quarantine.models import Decision, Verb
from portal.tenancy import blocks
from portal.tenancy.service import Member
from portal.web.rate_limits import Rate, rates

SHORTEST_REASON, LONGEST_REASON = 3, 1000  # characters
RESCANS = Rate("quarantine-rescan", "1000 per hour")  # of a tenant: each reads a whole file
MOST_AT_ONCE = 200
Deed = Literal["rescan", "rescan_later", "delete", "release", "block", "unblock"]
_PAST = {
    Verb.RESCAN: _l("%(who)s ordered another scan of it: %(reason)s"),
    Verb.DELETE: _l("%(who)s deleted it: %(reason)s"),
    Verb.PROPOSE: _l("%(who)s proposed to release it: %(reason)s"),
    Verb.RELEASE: _l("%(who)s released it: %(reason)s"),
    Verb.BLOCK: _l("%(who)s blocked the person who uploaded it: %(reason)s"),
    Verb.UNBLOCK: _l("%(who)s unblocked the person who uploaded it: %(reason)s"),
    Verb.DOWNLOAD: _l("%(who)s downloaded it: %(reason)s"),
    Verb.OUTCOME: _l("%(who)s had it scanned: %(reason)s"),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a decision about one file; ``done`` False: ``words`` say why not."""

    asset_id: UUID
    done: bool
    words: str


def checked_reason(reason: str) -> str:
    """Raises ``Invalid``."""
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


def decide(member: Member, deed: Deed, asset_id: UUID, reason: str, *, infected_too: bool = False) -> Outcome:
    """Do one thing about one quarantined file.

    Raises ``Invalid`` for the reason, ``NotFound``, ``Forbidden`` for what the rules refuse, and ``Conflict`` when
    somebody else was faster.
    """
    reason = checked_reason(reason)
    if deed in ("rescan", "rescan_later"):
        rates().count(RESCANS, str(member.tenant_id))
    with transaction(member.tenant_id):
        asset = _held(member, asset_id)
        if deed == "release":
            words = _release(member, asset, reason, infected_too)
        else:
            words = _DEEDS[deed](member, asset, reason)
    return Outcome(asset_id, True, words)


def decide_all(
    member: Member, deed: Deed, asset_ids: Iterable[UUID], reason: str, *, infected_too: bool = False
) -> list[Outcome]:
    """The same for several, each by itself; what is refused says why. Raises ``Invalid`` for the reason."""
    reason, done, people = checked_reason(reason), [], set[UUID | None]()
    for asset_id in dict.fromkeys(asset_ids):
        try:
            if deed in ("block", "unblock") and (person := _uploader(member, asset_id)) in people:
                done.append(Outcome(asset_id, True, _("The same person.")))
                continue
            done.append(decide(member, deed, asset_id, reason, infected_too=infected_too))
            if deed in ("block", "unblock"):
                people.add(person)
        except Problem as problem:
            done.append(Outcome(asset_id, False, problem.detail))
    return done


def set_block(member: Member, user_id: UUID, reason: str, *, blocked: bool) -> None:
    """Block or unblock somebody's uploads without a file at hand. Raises as ``decide`` does."""
    reason = checked_reason(reason)
    with transaction(member.tenant_id):
        if blocked:
            blocks.block(member.tenant_id, user_id, member.user_id, reason)
        else:
            blocks.unblock(member.tenant_id, user_id)
        audit.record(
            member.tenant_id, member.user_id, f"uploads.{'' if blocked else 'un'}blocked", user_id, reason=reason
        )


def _held(member: Member, asset_id: UUID) -> Asset:
    """The quarantined file, or why there is none any more. Raises ``NotFound``, ``Conflict``."""
    statement = select(Asset).where(
        Asset.tenant_id == member.tenant_id, Asset.id == asset_id, *quarantine_orders.staying()
    )
    asset = db.session.scalar(statement.execution_options(populate_existing=True))
    if asset is None:
        raise _gone(member, asset_id)
    return asset


def _gone(member: Member, asset_id: UUID) -> Problem:
    asset = db.session.scalar(select(Asset).where(Asset.tenant_id == member.tenant_id, Asset.id == asset_id))
    last = _last_words(asset_id)
    if last is None and (asset is None or asset.state is not AssetState.QUARANTINED):
        return NotFound(_("There is no such file in quarantine."))
    return Conflict(_("This file is not in quarantine any more. %(reason)s", reason=last or _("Its time was over.")))


def _last_words(asset_id: UUID) -> str | None:
    """Who decided last, in words."""
    statement = (
        select(Decision.what, Decision.reason, User.name, User.email)
        .join(User, User.id == Decision.actor_id)
        .where(Decision.asset_id == asset_id)
        .order_by(Decision.id.desc())
        .limit(1)
    )
    row = db.session.execute(statement).one_or_none()
    return row and str(_PAST[row.what]) % {"who": row.name or row.email, "reason": row.reason[:200]}


def _faster(asset: Asset) -> Conflict:
    last = _last_words(asset.id)
    return Conflict(" ".join(filter(None, (_("Somebody else has decided about this file already."), last))))


def _rescan(member: Member, asset: Asset, reason: str) -> str:
    return _order_scan(member, asset, reason, "rescan", _("It is scanned again in a moment."))


def _rescan_later(member: Member, asset: Asset, reason: str) -> str:
    return _order_scan(member, asset, reason, "rescan_later", _("It is scanned again after the next signature update."))


def _order_scan(member: Member, asset: Asset, reason: str, job: str, words: str) -> str:
    if not quarantine_orders.order(asset, job, member.user_id):
        raise _faster(asset)
    records.note(asset, Verb.RESCAN, member.user_id, reason, **({"when": "later"} if job == "rescan_later" else {}))
    return words


def _delete(member: Member, asset: Asset, reason: str) -> str:
    if not quarantine_orders.purge_now(asset):
        raise _faster(asset)
    records.note(asset, Verb.DELETE, member.user_id, reason, size_bytes=asset.size_bytes)
    return _("It is being removed. The space is free in a moment.")


def _release(member: Member, asset: Asset, reason: str, infected_too: bool) -> str:
    rules = scan_policy.rules_of(member.tenant_id)
    if asset.created_by == member.user_id:
        raise Forbidden(_("You uploaded this file yourself: another administrator decides whether it is released."))
    _check_infection(asset, rules, infected_too)
    if rules.two_persons and asset.proposed_by is None:
        if not quarantine_orders.propose(member.tenant_id, asset.id, member.user_id):
            raise _faster(asset)
        records.note(asset, Verb.PROPOSE, member.user_id, reason)
        return _("Your proposal was saved. Another administrator must confirm it.")
    if rules.two_persons and asset.proposed_by == member.user_id:
        raise Conflict(_("You proposed this release: another administrator must confirm it."))
    job = "release_infected" if infected_too else "release"
    seen = Asset.proposed_by.is_not_distinct_from(asset.proposed_by)
    if not quarantine_orders.order(asset, job, member.user_id, seen):
        raise _faster(asset)
    records.note(asset, Verb.RELEASE, member.user_id, reason, **({"infected_too": True} if infected_too else {}))
    return _("It is scanned once more in a moment, then available again.")


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
    records.note(asset, Verb.BLOCK, member.user_id, reason, person_id=str(asset.created_by))
    return _("Uploads of this person are refused from now on.")


def _unblock(member: Member, asset: Asset, reason: str) -> str:
    blocks.unblock(member.tenant_id, asset.created_by)
    records.note(asset, Verb.UNBLOCK, member.user_id, reason, person_id=str(asset.created_by))
    return _("This person can upload again.")


_DEEDS: dict[Deed, Callable[[Member, Asset, str], str]] = {
    "rescan": _rescan,
    "rescan_later": _rescan_later,
    "delete": _delete,
    "block": _block,
    "unblock": _unblock,
}


def _uploader(member: Member, asset_id: UUID) -> UUID | None:
    return db.session.scalar(select(Asset.created_by).where(Asset.tenant_id == member.tenant_id, Asset.id == asset_id))
