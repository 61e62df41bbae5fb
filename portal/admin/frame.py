"""What frames every page of somebody who is signed in: where they are, where they can go, how full it is.

Each part is asked of its room when the template comes to it, so that a fragment costs nothing and a page what it shows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from flask import Flask, session, url_for
from flask_babel import gettext as _
from flask_login import current_user
from sqlalchemy import Uuid, bindparam, text

from portal.database import db
from portal.folders import libraries as library
from portal.identity.access import person
from portal.identity.service import Person
from portal.inspection import file_kinds
from portal.quarantine import service as quarantine
from portal.quotas import service as quotas
from portal.quotas.levels import Standing
from portal.storage import health
from portal.storage import service as storage
from portal.tenancy import switches
from portal.tenancy.access import current_member, current_places
from portal.tenancy.permissions import Permission
from portal.tenancy.service import TenantPlace, WorkspacePlace
from portal.uploads import part_plan
from portal.web import headers
from portal.web.problems import speaks_json

# One round trip for everything that a page shows around its content.
_PARTS = {"libraries": library.NAMES, "trouble": health.TROUBLE, "stores": storage.STORES}
_ASKED = ", ".join(f"({asked}) AS {name}" for name, asked in _PARTS.items())
_BOTH = f"SELECT s.*, {_ASKED} FROM ({quotas.STANDING}) s"  # noqa: S608  constants of our own
_SURROUNDINGS = text(_BOTH).bindparams(bindparam("workspace", type_=Uuid()), bindparam("tenant", type_=Uuid()))


class Place(NamedTuple):
    """A library of the workspace."""

    id: str
    name: str


class Frame:
    """One page's frame; read by base.html and what it includes."""

    def __init__(self, who: Person) -> None:
        self.person = who
        self.member = current_member()

    @property
    def tenants(self) -> list[TenantPlace]:
        """Everywhere that the person can go."""
        return current_places()

    @cached_property
    def tenant(self) -> TenantPlace | None:
        """The tenant that the page belongs to."""
        here = self.member
        return next((each for each in self.tenants if here and each.id == here.tenant_id), None)

    @cached_property
    def workspace(self) -> WorkspacePlace | None:
        """The workspace that the page belongs to, where the person is its member."""
        here = self.member
        if here is None or self.tenant is None:
            return None
        return next((each for each in self.tenant.workspaces if each.id == here.workspace_id), None)

    @property
    def may_upload(self) -> bool:
        """May files be added here?"""
        return self.workspace is not None and self.member is not None and self.member.may(Permission.UPLOAD)

    @property
    def notices(self) -> list[str]:
        """What everybody here must know: why uploads are paused, why nothing can be changed."""
        closed = switches.read_only(self.tenant.id) if self.tenant else None
        pause = switches.paused()
        found = [_("Nothing can be changed here for now: %(reason)s", reason=closed.reason)] if closed else []
        trouble = self._surroundings.trouble if self._surroundings else None
        if trouble:
            found.append(_("The storage of this workspace takes no new files: %(reason)s", reason=trouble))
        return found + ([_("Uploads are paused: %(reason)s", reason=pause.reason)] if pause else [])

    @property
    def place(self) -> tuple[Hashable, ...]:
        """What the parts depend on that only know where the page is."""
        return self.tenant.slug if self.tenant else None, self.workspace, self.may_upload

    @property
    def shows(self) -> tuple[Hashable, ...]:
        """What the sidebar depends on: everything above and below."""
        elsewhere = tuple((each.id, each.slug, each.name, each.role, *each.workspaces) for each in self.tenants)
        libraries = tuple((each.id, each.name) for each in self.libraries)
        return self.place, self.person.is_operator, elsewhere, libraries, self.quota, self.quarantine_count

    @cached_property
    def _surroundings(self) -> Any:
        """What the database says of the workspace: one row."""
        if self.tenant is None or self.workspace is None:
            return None
        found = db.session.execute(_SURROUNDINGS, {"tenant": self.tenant.id, "workspace": self.workspace.id}).first()
        if found is not None and found.stores:
            headers.allow_stores(storage.origin_at(*each) for each in found.stores)
        return found

    @property
    def stores(self) -> list[str]:
        """Customers' stores that the page may load from; asked for where it begins, as its own headers name them."""
        return headers.allowed_stores() if self._surroundings else []

    @cached_property
    def libraries(self) -> Sequence[Place]:
        """Of the workspace, the oldest first."""
        found = self._surroundings.libraries if self._surroundings else None
        return [Place(*each) for each in found or ()]

    @cached_property
    def quota(self) -> Standing | None:
        """How full the workspace is."""
        return quotas.standing_from(self._surroundings) if self._surroundings else None

    @property
    def warning(self) -> Standing | None:
        """How full it is, for who answers for the space here, until they hide it: a higher level shows again."""
        here, quota = self.member, self.quota
        if here is None or quota is None or quota.level == "ok":
            return None
        answers = here.may(Permission.MANAGE_WORKSPACE) or here.may(Permission.SET_QUOTA)
        hidden = session.get("hidden_warning") == f"{here.workspace_id}:{quota.scope}:{quota.level}"
        return quota if answers and not hidden else None

    @cached_property
    def quarantine_count(self) -> int:
        """How many files wait at the desk; for those who may see it."""
        here = self.member
        return quarantine.count_held(here.tenant_id) if here and here.may(Permission.REVIEW_QUARANTINE) else 0

    @cached_property
    def upload(self) -> dict[str, Any] | None:
        """What the uploader must know, where the person may upload."""
        if self.workspace is None or not self.may_upload:
            return None
        here = self.workspace.id
        policy = [
            {"name": kind.name, "extensions": list(kind.extensions), "limit_bytes": kind.limit_bytes}
            for kind in file_kinds.POLICY
        ]
        return {
            "begin_url": url_for("uploads_api.begin", w=here),
            "uploads_url": url_for("uploads_api.begin", w=here),
            "assets_url": url_for("assets_api.index", w=here),
            "paths_url": url_for("folders_api.lay_paths", w=here),
            "files_url": url_for("library.index", workspace_id=here),
            "more_space_url": url_for("quota_desk.ask_form", workspace_id=here),
            "kinds": policy,
            "parts": {"from_bytes": part_plan.FROM, "part_bytes": part_plan.USUAL_PART, "most": part_plan.MOST_PARTS},
        }


def install(app: Flask) -> None:
    """Give every template its ``frame``: None for somebody who is not signed in."""

    def frame() -> dict[str, Any]:
        if speaks_json() or not current_user.is_authenticated:
            return {"frame": None}
        return {"frame": Frame(person())}

    app.context_processor(frame)
