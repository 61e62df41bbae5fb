"""The quarantine over JSON."""

from __future__ import annotations

from dataclasses import asdict
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.identity.access import recently_proved
from portal.inspection import scan_policy
from portal.quarantine import decisions, service
from portal.quarantine.forms import (
    Because,
    PolicyBody,
    PolicyView,
    QuarantineQuery,
    ReleaseBody,
    RescanBody,
    WishBody,
    WishView,
)
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging

blueprint = Blueprint("quarantine_api", __name__)
HELD = "/v1/tenants/<uuid:t>/quarantine/<uuid:a>"


class HeldFileView(Answer):
    """A held file; never its content."""

    asset_id: UUID
    workspace_id: UUID
    file_name: str
    size_bytes: int
    sha256: str | None
    declared_type: str
    found_type: str | None
    reason: str = Field(description="in words")
    signature: str | None = Field(description="null: held because it could not be scanned")
    engine: str | None
    database: str | None
    uploaded_by: UUID
    quarantined_at: Time
    deadline: Time = Field(description="when it is removed")

    @classmethod
    def of(cls, held: service.HeldFile) -> HeldFileView:
        """As the list shows it."""
        names = cls.model_fields.keys() - {"uploaded_by"}
        return cls(**{name: getattr(held, name) for name in names}, uploaded_by=held.uploaded_by.id)


class OutcomeView(Answer):
    """What comes of a decision, in words; a scan and a release are done by a worker, in a moment."""

    asset_id: UUID
    detail: str


@blueprint.get("/v1/tenants/<uuid:t>/quarantine")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(query=QuarantineQuery, paged=True, returns=Listing[HeldFileView])
def index(member: Member, query: QuarantineQuery, paging: Paging) -> Listing[HeldFileView]:
    """List what is held in the tenant, the newest upload first."""
    held, cursor = service.list_items(member.tenant_id, paging, query.narrowing())
    return Listing[HeldFileView](items=[HeldFileView.of(each) for each in held], next_cursor=cursor)


@blueprint.post(f"{HELD}/rescan")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=RescanBody, returns=OutcomeView, errors=("conflict",))
def rescan(member: Member, a: UUID, body: RescanBody) -> OutcomeView:
    """Have a held file scanned again, now or after the next update of the signatures.

    The new verdict is recorded. Whatever it is, the file stays held until an admin decides.
    """
    return _view(decisions.decide(member, "rescan_later" if body.after_update else "rescan", a, body.reason))


@blueprint.post(f"{HELD}/release")
@tenant(Permission.REVIEW_QUARANTINE)
@recently_proved
@operation(body=ReleaseBody, returns=OutcomeView, errors=("conflict", "forbidden"))
def release(member: Member, a: UUID, body: ReleaseBody) -> OutcomeView:
    """Release a held file: it is scanned once more and becomes available, with the mark of who released it.

    Never one's own upload (403). Where the tenant demands two persons, the first call proposes and another admin's
    confirms. What the scanner calls infected needs `infected_too` (409), refused (403) where the rules forbid it.
    """
    return _view(decisions.decide(member, "release", a, body.reason, infected_too=body.infected_too))


@blueprint.post(f"{HELD}/delete")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=Because, returns=OutcomeView, errors=("conflict",))
def delete(member: Member, a: UUID, body: Because) -> OutcomeView:
    """Remove a held file for good, now. Its space is free once the bytes are gone, in a moment."""
    return _view(decisions.decide(member, "delete", a, body.reason))


@blueprint.post("/v1/tenants/<uuid:t>/people/<uuid:p>/block-uploads")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=Because, errors=("conflict",))
def block(member: Member, p: UUID, body: Because) -> None:
    """Take no upload of this person from now on; sessions that are open can't be committed. They read the reason."""
    decisions.set_block(member, p, body.reason, blocked=True)


@blueprint.post("/v1/tenants/<uuid:t>/people/<uuid:p>/unblock-uploads")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=Because, errors=("conflict",))
def unblock(member: Member, p: UUID, body: Because) -> None:
    """Take this person's uploads again."""
    decisions.set_block(member, p, body.reason, blocked=False)


@blueprint.get("/v1/tenants/<uuid:t>/scan-policy")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(returns=PolicyView)
def show_policy(member: Member) -> PolicyView:
    """Read the tenant's rules for what the virus scanner did not, or could not, look through."""
    return _policy(member)


@blueprint.put("/v1/tenants/<uuid:t>/scan-policy")
@tenant(Permission.SET_SCAN_POLICY)
@operation(body=PolicyBody, returns=PolicyView, errors=("conflict",))
def set_policy(member: Member, body: PolicyBody) -> PolicyView:
    """Change them, for files that are checked from now on.

    Where a release needs two persons, looser rules wait for another admin, as `pending`; 409 where there is none.
    """
    scan_policy.set_rules(member, body.rules())
    return _policy(member)


@blueprint.post("/v1/tenants/<uuid:t>/scan-policy/confirm")
@tenant(Permission.SET_SCAN_POLICY)
@operation(body=WishBody, returns=PolicyView, errors=("conflict",))
def confirm_policy(member: Member, body: WishBody) -> PolicyView:
    """Put the looser rules in force that another admin proposed; 403 for who proposed them."""
    scan_policy.confirm(member, body.at)
    return _policy(member)


@blueprint.post("/v1/tenants/<uuid:t>/scan-policy/withdraw")
@tenant(Permission.SET_SCAN_POLICY)
@operation(body=WishBody, returns=PolicyView, errors=("conflict",))
def withdraw_policy(member: Member, body: WishBody) -> PolicyView:
    """Drop what was proposed."""
    scan_policy.withdraw(member, body.at)
    return _policy(member)


def _policy(member: Member) -> PolicyView:
    wish = scan_policy.proposal_of(member.tenant_id)
    return PolicyView(
        **asdict(scan_policy.rules_of(member.tenant_id)), pending=WishView(**asdict(wish)) if wish else None
    )


def _view(outcome: decisions.Outcome) -> OutcomeView:
    return OutcomeView(asset_id=outcome.asset_id, detail=outcome.words)
