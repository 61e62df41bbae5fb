"""Testing a storage profile, and the least that its key must be allowed, over JSON."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.database import transaction
from portal.storage import probe_runs
from portal.storage.api import HERE, ProfileView
from portal.tenancy.access import member
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.web.body import Answer
from portal.web.openapi import operation

blueprint = Blueprint("probe_api", __name__)


class RightView(Answer):
    """One right: AWS's names of its actions on the bucket and on objects, and what is lost without it."""

    name: str
    title: str
    lost: str
    on_bucket: tuple[str, ...]
    on_objects: tuple[str, ...]


class PolicyView(Answer):
    """What to paste at one provider."""

    provider: str
    name: str
    where: str = Field(description="where at the provider it is pasted")
    text: str = Field(description="JSON")
    cannot: tuple[str, ...] = Field(description="what this provider can't express")


class Policies(Answer):
    """The least that a key must be allowed for this bucket and prefix."""

    provider: str = Field(description="the one that the endpoint seems to belong to")
    rights: list[RightView]
    policies: list[PolicyView]


@blueprint.post(f"{HERE}/<uuid:p>/probe")
@member(Permission.MANAGE_STORAGE)
@operation(returns=ProfileView, status=202, errors=("conflict",))
def start(member: Member, p: UUID) -> ProfileView:
    """Test a storage profile, step by step.

    The profile is `probing` meanwhile, and `probe.steps` grows; asking again while it runs changes nothing.
    """
    probe_runs.count_request(member.workspace)
    with transaction(member.tenant_id):
        profile = probe_runs.request(member.workspace, p, member.user_id)
    return ProfileView.of(profile)


@blueprint.get(f"{HERE}/<uuid:p>/policy")
@member(Permission.MANAGE_STORAGE)
@operation(returns=Policies, errors=("conflict",))
def policy(member: Member, p: UUID) -> Policies:
    """The least-privilege policy for this bucket and prefix, for each provider.

    Every right beyond the minimum is optional, and named with what is lost without it.
    """
    needed = probe_runs.needed(member.workspace, p)
    return Policies(
        provider=needed.provider,
        rights=[
            RightView(
                name=right.name,
                title=str(right.title),
                lost=str(right.lost),
                on_bucket=right.on_bucket,
                on_objects=right.on_objects,
            )
            for right in needed.rights
        ],
        policies=[PolicyView.model_validate(vars(each)) for each in needed.policies],
    )
