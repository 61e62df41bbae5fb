"""Bodies and queries that admins send: the reason of a decision, the filters of the list, the tenant's rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from portal.inspection.scan_policy import ScanRules
from portal.quarantine.service import QuarantineFilter
from portal.web.body import Answer, Body, Query


class QuarantineQuery(Query):
    """The filters of the list."""

    reason: Literal["infected", "too_large", "encrypted", "macros", "unscannable", "clean_now"] | None = None
    workspace_id: UUID | None = None
    person_id: UUID | None = None
    q: str | None = Field(
        None, max_length=255, description="A part of the file's name or of the signature, or the whole SHA-256."
    )

    @model_validator(mode="before")
    @classmethod
    def _drop_empty_fields(cls, sent: Any) -> Any:
        """A form sends every field; an empty one is no filter."""
        return {name: value for name, value in sent.items() if value != ""} if isinstance(sent, dict) else sent

    def filter(self) -> QuarantineFilter:
        return QuarantineFilter(self.reason, self.workspace_id, self.person_id, self.q)


class ReasonBody(Body):
    """A decision's reason: 3 to 1,000 characters."""

    reason: str = ""


class RescanBody(ReasonBody):
    """``after_update``: scan it as soon as the signatures have changed, instead of now."""

    after_update: bool = False


class ReleaseBody(ReasonBody):
    """``infected_too``: also when it is infected; refused unless the tenant's rules allow it."""

    infected_too: bool = False


class PolicyBody(Body):
    """A tenant's rules. ``hold`` keeps such files in quarantine, ``release`` makes them available with a mark."""

    too_large: Literal["hold", "release"]
    encrypted: Literal["hold", "release"]
    macros: Literal["hold", "release"]
    unscannable: Literal["hold", "release"]
    scanner_required: bool = Field(description="Without a scanner, files wait instead of becoming available unscanned.")
    two_persons: bool = Field(description="One admin proposes a release, another confirms it.")
    release_infected: bool = Field(description="Infected files can be released, with an explicit confirmation.")

    def rules(self) -> ScanRules:
        return ScanRules(**self.model_dump())


class ProposedRulesView(Answer):
    """Rules that somebody proposed. Whoever confirms them names them by their time."""

    changes: dict[str, str | bool]
    at: datetime
    by: UUID
    by_name: str


class ProposedRulesBody(Body):
    """``at`` of the proposal that is meant: another one may have replaced it in the meantime."""

    at: datetime


class PolicyView(Answer):
    """A tenant's rules."""

    too_large: Literal["hold", "release"]
    encrypted: Literal["hold", "release"]
    macros: Literal["hold", "release"]
    unscannable: Literal["hold", "release"]
    scanner_required: bool
    two_persons: bool
    release_infected: bool
    pending: ProposedRulesView | None = Field(description="Looser rules that another admin has to confirm.")
