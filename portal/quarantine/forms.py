"""What admins send: a reason with a decision, what a list is narrowed to, the tenant's rules."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from portal.inspection.scan_policy import ScanRules
from portal.quarantine.service import Narrowing
from portal.web.body import Answer, Body, Query


class QuarantineQuery(Query):
    """What the list is narrowed to."""

    reason: Literal["infected", "too_large", "encrypted", "macros", "unscannable", "clean_now"] | None = None
    workspace_id: UUID | None = None
    person_id: UUID | None = None
    q: str | None = Field(
        None, max_length=255, description="A part of the file's name or of the signature, or the whole SHA-256."
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out_what_is_empty(cls, sent: Any) -> Any:
        """A form sends every field; an empty one narrows nothing."""
        return {name: value for name, value in sent.items() if value != ""} if isinstance(sent, dict) else sent

    def narrowing(self) -> Narrowing:
        """As the service takes it."""
        return Narrowing(self.reason, self.workspace_id, self.person_id, self.q)


class Because(Body):
    """A decision's reason: 3 to 1,000 characters."""

    reason: str = ""


class RescanBody(Because):
    """``after_update``: not now, but as soon as the signatures have changed."""

    after_update: bool = False


class ReleaseBody(Because):
    """``infected_too``: also when the scanner calls it infected; refused unless the tenant's rules allow it."""

    infected_too: bool = False


class PolicyBody(Body):
    """A tenant's rules. ``hold`` keeps such files in quarantine, ``release`` makes them available with a mark."""

    too_large: Literal["hold", "release"]
    encrypted: Literal["hold", "release"]
    macros: Literal["hold", "release"]
    unscannable: Literal["hold", "release"]
    scanner_required: bool = Field(description="Without a scanner files wait, instead of becoming available unscanned.")
    two_persons: bool = Field(description="One admin proposes a release, another confirms it.")
    release_infected: bool = Field(description="What the scanner calls infected may be released, confirmed expressly.")

    def rules(self) -> ScanRules:
        """As the service takes them."""
        return ScanRules(**self.model_dump())


class WishView(Answer):
    """What somebody has proposed. Its time names it to whoever confirms it."""

    changes: dict[str, str | bool]
    at: datetime
    by: UUID
    by_name: str


class WishBody(Body):
    """``at`` of the change that is meant: another one may have taken its place meanwhile."""

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
    pending: WishView | None = Field(description="Looser rules that another admin has to confirm.")
