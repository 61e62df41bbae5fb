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
    PolicyBody,
    PolicyView,
    ProposedRulesBody,
    ProposedRulesView,
    QuarantineQuery,
    ReasonBody,
    ReleaseBody,
    RescanBody,
)
from portal.tenancy import people
from portal.tenancy.access import tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.uploads.cancel import end_all_of
from portal.web.body import Answer, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging

blueprint = Blueprint("quarantine_api", __name__)
FILE = "/v1/tenants/<uuid:t>/quarantine/<uuid:a>"


class QuarantinedFileView(Answer):
    """A quarantined file; never its content."""

    asset_id: UUID
    workspace_id: UUID
    file_name: str
    size_bytes: int
    sha256: str | None
    declared_type: str
    found_type: str | None
    reason: str = Field(description="A sentence.")
    signature: str | None = Field(description="null: quarantined because it could not be scanned")
    engine: str | None
    database: str | None
    uploaded_by: UUID
    quarantined_at: Time
    deadline: Time = Field(description="When it is removed.")

    @classmethod
    def of(cls, item: service.QuarantinedFile) -> QuarantinedFileView:
        """From what the service returns."""
        return cls(
            asset_id=item.asset_id,
            workspace_id=item.workspace_id,
            file_name=item.file_name,
            size_bytes=item.size_bytes,
            sha256=item.sha256,
            declared_type=item.declared_type,
            found_type=item.found_type,
            reason=item.reason,
            signature=item.signature,
            engine=item.engine,
            database=item.database,
            uploaded_by=item.uploaded_by.id,
            quarantined_at=item.quarantined_at,
            deadline=item.deadline,
        )


class EndedUploadsView(Answer):
    """How many unfinished uploads were cancelled."""

    ended: int


class DecisionResultView(Answer):
    """The result of a decision. Scans and releases are carried out by a worker, in a moment."""

    asset_id: UUID
    detail: str


@blueprint.get("/v1/tenants/<uuid:t>/quarantine")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(query=QuarantineQuery, paged=True, returns=Listing[QuarantinedFileView])
def index(member: Member, query: QuarantineQuery, paging: Paging) -> Listing[QuarantinedFileView]:
    """List the quarantined files of the tenant, the newest upload first."""
    items, cursor = service.list_items(member.tenant_id, paging, query.filter())
    return Listing[QuarantinedFileView](items=[QuarantinedFileView.of(each) for each in items], next_cursor=cursor)


@blueprint.post(f"{FILE}/rescan")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=RescanBody, returns=DecisionResultView, errors=("conflict",))
def rescan(member: Member, a: UUID, body: RescanBody) -> DecisionResultView:
    """Have a quarantined file scanned again, now or after the next update of the signatures.

    The new verdict is recorded. Whatever it is, the file stays in quarantine until an admin decides.
    """
    return _view(decisions.decide(member, "rescan_later" if body.after_update else "rescan", a, body.reason))


@blueprint.post(f"{FILE}/release")
@tenant(Permission.REVIEW_QUARANTINE)
@recently_proved
@operation(body=ReleaseBody, returns=DecisionResultView, errors=("conflict", "forbidden"))
def release(member: Member, a: UUID, body: ReleaseBody) -> DecisionResultView:
    """Release a quarantined file: it is scanned once more and becomes available, marked with who released it.

    Nobody can release their own upload (403). Where the tenant requires two persons, the first call proposes and the
    call of another admin confirms. An infected file needs `infected_too` (409); 403 where the rules forbid it.
    """
    return _view(decisions.decide(member, "release", a, body.reason, infected_too=body.infected_too))


@blueprint.post(f"{FILE}/delete")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=ReasonBody, returns=DecisionResultView, errors=("conflict",))
def delete(member: Member, a: UUID, body: ReasonBody) -> DecisionResultView:
    """Delete a quarantined file permanently. Its space is free once the bytes are gone, in a moment."""
    return _view(decisions.decide(member, "delete", a, body.reason))


@blueprint.post("/v1/tenants/<uuid:t>/people/<uuid:p>/block-uploads")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=ReasonBody, errors=("conflict",))
def block(member: Member, p: UUID, body: ReasonBody) -> None:
    """Refuse uploads of this person from now on, open sessions included. They see the reason."""
    decisions.set_block(member, p, body.reason, blocked=True)


@blueprint.post("/v1/tenants/<uuid:t>/people/<uuid:p>/end-uploads")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(returns=EndedUploadsView)
def end_uploads(member: Member, p: UUID) -> EndedUploadsView:
    """Cancel a person's unfinished uploads in this tenant, and give the space that they reserve back at once."""
    people.require_member(member.tenant_id, p)
    return EndedUploadsView(ended=end_all_of(member.tenant_id, p, member.user_id))


@blueprint.post("/v1/tenants/<uuid:t>/people/<uuid:p>/unblock-uploads")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(body=ReasonBody, errors=("conflict",))
def unblock(member: Member, p: UUID, body: ReasonBody) -> None:
    """Accept this person's uploads again."""
    decisions.set_block(member, p, body.reason, blocked=False)


@blueprint.get("/v1/tenants/<uuid:t>/scan-policy")
@tenant(Permission.REVIEW_QUARANTINE)
@operation(returns=PolicyView)
def show_policy(member: Member) -> PolicyView:
    """Read the tenant's rules for files that the virus scanner could not examine completely."""
    return _policy(member)


@blueprint.put("/v1/tenants/<uuid:t>/scan-policy")
@tenant(Permission.SET_SCAN_POLICY)
@operation(body=PolicyBody, returns=PolicyView, errors=("conflict",))
def set_policy(member: Member, body: PolicyBody) -> PolicyView:
    """Change the rules, for files that are checked from now on.

    Where a release needs two persons, looser rules wait for another admin, as `pending`; 409 where there is none.
    """
    scan_policy.set_rules(member, body.rules())
    return _policy(member)


@blueprint.post("/v1/tenants/<uuid:t>/scan-policy/confirm")
@tenant(Permission.SET_SCAN_POLICY)
@operation(body=ProposedRulesBody, returns=PolicyView, errors=("conflict",))
def confirm_policy(member: Member, body: ProposedRulesBody) -> PolicyView:
    """Put looser rules in force that another admin proposed; 403 for whoever proposed them."""
    scan_policy.confirm(member, body.at)
    return _policy(member)


@blueprint.post("/v1/tenants/<uuid:t>/scan-policy/withdraw")
@tenant(Permission.SET_SCAN_POLICY)
@operation(body=ProposedRulesBody, returns=PolicyView, errors=("conflict",))
def withdraw_policy(member: Member, body: ProposedRulesBody) -> PolicyView:
    """Withdraw or reject what was proposed."""
    scan_policy.withdraw(member, body.at)
    return _policy(member)


def _policy(member: Member) -> PolicyView:
    proposed = scan_policy.proposal_of(member.tenant_id)
    pending = ProposedRulesView(**asdict(proposed)) if proposed else None
    return PolicyView(**asdict(scan_policy.rules_of(member.tenant_id)), pending=pending)


def _view(result: decisions.DecisionResult) -> DecisionResultView:
    return DecisionResultView(asset_id=result.asset_id, detail=result.message)
