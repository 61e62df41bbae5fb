"""Usage over JSON: report, what is near its limit, trend, and what is stored where."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.database import now
from portal.identity.access import signed_in
from portal.identity.service import Person
from portal.quotas.levels import Level
from portal.tenancy.access import current_places, tenant
from portal.tenancy.permissions import Permission
from portal.tenancy.service import Member
from portal.usage import forecast, tenant_report
from portal.usage.forecast import CONFIDENCE, WINDOW, Outlook, Trend
from portal.usage.people import own_usage
from portal.web.body import Answer, Listing, Query, Time
from portal.web.openapi import operation
from portal.web.paging import Paging, page_of

blueprint = Blueprint("usage_api", __name__)


class SummaryView(Answer):
    """Everything together."""

    total_bytes: int
    total_files: int
    average_bytes: int


class PlanView(Answer):
    """The tenants of a plan."""

    plan: str
    tenants: int
    bytes: int
    files: int
    limit_bytes: int | None


class PlaceView(Answer):
    """A workspace, or the tenant itself."""

    tenant_id: UUID
    workspace_id: UUID | None = Field(description="null: the tenant, all its workspaces together")
    name: str
    used_bytes: int
    reserved_bytes: int
    files: int
    limit_bytes: int | None
    percent: float
    level: Level


class PersonUsageView(Answer):
    """What a person's uploads hold."""

    user_id: UUID
    name: str
    email: str
    bytes: int
    files: int


class OwnUsageView(Answer):
    """What your uploads hold in one workspace."""

    workspace_id: UUID
    name: str
    bytes: int
    files: int


class ReportView(Answer):
    """A tenant's report."""

    generated_at: Time
    as_of: Time | None = Field(description="when people were counted; null: not all workspaces were yet")
    summary: SummaryView
    by_plan: list[PlanView]
    near_limit: list[PlaceView]
    top_users: list[PersonUsageView]
    top_workspaces: list[PlaceView]

    @classmethod
    def of(cls, report: tenant_report.Report) -> ReportView:
        """As it was made."""
        names = cls.model_fields.keys() - {"summary"}
        values = {name: getattr(report, name) for name in names} | {"summary": SummaryView.model_validate(report)}
        return cls.model_validate(values)


class Alerts(Query):
    """From which share on."""

    threshold: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = tenant_report.NEAR


class AlertsView(Listing[PlaceView]):
    """What is near its limit."""

    generated_at: Time
    threshold: float


class Days(Query):
    """How far back."""

    days: Annotated[int, Field(ge=7, le=365)] = WINDOW


class PointView(Answer):
    """Use at the end of a UTC day."""

    day: date
    used_bytes: int


class TrendView(Answer):
    """Where use is going: least squares over the days before today.

    With fewer than seven days it is what a day has added so far, and nothing is said about coming days.
    """

    trend: Trend
    daily_average_bytes: int
    projected_monthly_bytes: int = Field(description="what 30 days add at this pace")
    data_points: int
    full_on: date | None = Field(description="when the limit is met; null: not within ten years, or no limit")
    full_earliest: date | None
    full_latest: date | None
    confidence: float = Field(CONFIDENCE, description="of the intervals")
    expected_bytes: int | None = Field(description="use in 30 days")
    low_bytes: int | None
    high_bytes: int | None
    points: list[PointView]

    @classmethod
    def of(cls, points: list[tuple[date, int]], seen: Outlook) -> TrendView:
        """From the days and what they say."""
        growth = forecast.so_far(points) if seen.growth_bytes is None else seen.growth_bytes
        names = ["data_points", "full_on", "full_earliest", "full_latest"]
        names += ["expected_bytes", "low_bytes", "high_bytes"]
        return cls(
            **{name: getattr(seen, name) for name in names},
            trend=forecast.trend_of(growth),
            daily_average_bytes=growth,
            projected_monthly_bytes=growth * WINDOW,
            points=[PointView(day=day, used_bytes=size) for day, size in points],
        )


class PartView(Answer):
    """Objects of one part, kind, storage class and kind of store."""

    part: Literal["original", "trash", "quarantine", "derived", "staging", "tmp"]
    kind: str
    storage_class: str
    mode: Literal["managed_r2", "byos_s3"]
    counted: bool = Field(description="the quota counts it")
    bytes: int
    files: int


class ProfileUsageView(Answer):
    """What lies in one storage profile, derived files included."""

    profile_id: UUID
    workspace_id: UUID
    name: str
    mode: Literal["managed_r2", "byos_s3"]
    bytes: int
    files: int


class DownloadsView(Answer):
    """Links to files that were issued in the last 30 days."""

    links: int
    bytes: int


class StatsView(Answer):
    """What is stored where."""

    as_of: Time | None = Field(description="when it was counted; null: not all workspaces were yet")
    parts: list[PartView]
    profiles: list[ProfileUsageView] = Field(description="the 500 that hold most")
    downloads: DownloadsView


@blueprint.get("/v1/tenants/<uuid:t>/quota/report")
@tenant(Permission.SET_QUOTA)
@operation(returns=ReportView)
def report(member: Member) -> ReportView:
    """Report on the tenant's space."""
    return ReportView.of(tenant_report.of_tenant(member))


@blueprint.get("/v1/tenants/<uuid:t>/quota/alerts")
@tenant(Permission.SET_QUOTA)
@operation(query=Alerts, paged=True, returns=AlertsView)
def alerts(member: Member, query: Alerts, paging: Paging) -> AlertsView:
    """List what holds at least ``threshold`` of its own limit, the fullest first."""
    near = tenant_report.near_limit(member, query.threshold)
    page, cursor = page_of(near, paging, key=lambda place: place.workspace_id or place.tenant_id)
    items = [PlaceView.model_validate(each) for each in page]
    return AlertsView(generated_at=now(), threshold=query.threshold, items=items, next_cursor=cursor)


@blueprint.get("/v1/tenants/<uuid:t>/quota/trend")
@tenant(Permission.SET_QUOTA)
@operation(query=Days, returns=TrendView)
def trend(member: Member, query: Days) -> TrendView:
    """Show where the tenant's use is going."""
    return TrendView.of(*tenant_report.trend_of_tenant(member.tenant_id, query.days))


@blueprint.get("/v1/tenants/<uuid:t>/storage/stats")
@tenant(Permission.SET_QUOTA)
@operation(returns=StatsView)
def stats(member: Member) -> StatsView:
    """Count what is stored, by part, kind, storage class and profile."""
    issued = tenant_report.downloads_of_tenant(member.tenant_id)
    parts = [PartView.model_validate(line) for line in tenant_report.parts_of_tenant(member.tenant_id)]
    profiles = [ProfileUsageView.model_validate(line) for line in tenant_report.profiles_of_tenant(member.tenant_id)]
    downloads = DownloadsView.model_validate(issued)
    return StatsView(as_of=issued.as_of, parts=parts, profiles=profiles, downloads=downloads)


@blueprint.get("/v1/me/usage")
@signed_in
@operation(returns=Listing[OwnUsageView], paged=True)
def own(user: Person, paging: Paging) -> Listing[OwnUsageView]:
    """List what your own uploads hold by workspace, the largest first, as it was measured last."""
    page, cursor = page_of(own_usage(user.id, current_places()), paging, key=lambda each: each.workspace_id)
    return Listing[OwnUsageView](items=[OwnUsageView.model_validate(each) for each in page], next_cursor=cursor)
