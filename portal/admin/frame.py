"""The navigation frame of each page: top bar, sidebar, notices and upload tray, for somebody who is signed in.

``base.html`` renders it around every page. A template reads ``frame.libraries``, ``frame.quota`` and so on, and each of
these asks the package that owns it when it is read: a fragment, which has no frame, costs no query.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple

from flask import Flask, request, session, url_for
from flask_babel import gettext
from flask_login import current_user

from portal.folders import libraries
from portal.folders.models import Library
from portal.identity.access import person
from portal.identity.service import Person
from portal.inspection import file_kinds
from portal.quarantine import service as quarantine
from portal.quotas import service as quotas
from portal.quotas.levels import UsageStatus
from portal.storage import profiles
from portal.storage import service as storage
from portal.storage.models import Health, ProfileMode, StorageProfile
from portal.tenancy import switches
from portal.tenancy.access import current_member, current_places
from portal.tenancy.permissions import Permission
from portal.tenancy.service import TenantPlace, WorkspacePlace
from portal.uploads import part_plan
from portal.web import headers
from portal.web.problems import speaks_json


class Search(NamedTuple):
    """What the search field shows and sends: the words and filters of the gallery that is open."""

    words: str
    kind: str | None
    status: str | None


class Frame:
    """The frame of one page; each part is read at most once."""

    def __init__(self, who: Person) -> None:
        self.person = who
        self.member = current_member()

    @property
    def tenants(self) -> list[TenantPlace]:
        """The tenants and workspaces that the person can open."""
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

    @cached_property
    def files_url(self) -> str | None:
        """All files of the workspace: five links and forms of the frame lead there."""
        return url_for("library.index", workspace_id=self.workspace.id) if self.workspace else None

    @property
    def may_upload(self) -> bool:
        """Whether the person may add files here."""
        return self.workspace is not None and self.member is not None and self.member.may(Permission.UPLOAD)

    @property
    def search(self) -> Search:
        """The search of the gallery; empty on every other page."""
        given = request.args if request.endpoint == "library.index" else {}
        return Search(given.get("q", ""), given.get("kind"), given.get("status"))

    @property
    def notices(self) -> list[str]:
        """Why nothing can be changed here, why the storage takes no files, why uploads are paused."""
        read_only = switches.read_only(self.tenant.id) if self.tenant else None
        pause = switches.paused()
        unhealthy = next((each for each in self._profiles if each.active and each.health is Health.UNHEALTHY), None)
        found = []
        if read_only:
            found.append(gettext("Nothing can be changed here for now: %(reason)s", reason=read_only.reason))
        if unhealthy:
            found.append(
                gettext("The storage of this workspace takes no new files: %(reason)s", reason=unhealthy.reason)
            )
        if pause:
            found.append(gettext("Uploads are paused: %(reason)s", reason=pause.reason))
        return found

    @cached_property
    def _profiles(self) -> list[StorageProfile]:
        """The storage profiles of the workspace that are in use."""
        return profiles.known_profiles(self.workspace.id) if self.workspace else []

    @property
    def stores(self) -> list[str]:
        """The origins of own buckets that the page may load from.

        The template reads it in the page's head, so that they are in the Content-Security-Policy before it is sent.
        """
        own = [each for each in self._profiles if each.mode is ProfileMode.BYOS]
        headers.allow_stores(
            storage.origin_at(each.endpoint, each.region or "", each.bucket or "", each.addressing_style)
            for each in own
        )
        return headers.allowed_stores()

    @cached_property
    def libraries(self) -> Sequence[Library]:
        """The libraries of the workspace, the oldest first."""
        return libraries.list_libraries(self.workspace.id) if self.workspace else []

    @cached_property
    def quota(self) -> UsageStatus | None:
        """The usage of the workspace."""
        if self.tenant is None or self.workspace is None:
            return None
        return quotas.workspace_status(self.tenant.id, self.workspace.id)

    @property
    def warning(self) -> UsageStatus | None:
        """The usage, for those who can change a limit, until they hide the warning; a higher level shows it again."""
        here, quota = self.member, self.quota
        if here is None or quota is None or quota.level == "ok":
            return None
        is_responsible = here.may(Permission.MANAGE_WORKSPACE) or here.may(Permission.SET_QUOTA)
        hidden = session.get("hidden_warning") == f"{here.workspace_id}:{quota.scope}:{quota.level}"
        return quota if is_responsible and not hidden else None

    @cached_property
    def quarantine_count(self) -> int:
        """How many files wait for a decision in quarantine; 0 for those who can't review it."""
        here = self.member
        return quarantine.count_quarantined(here.tenant_id) if here and here.may(Permission.REVIEW_QUARANTINE) else 0

    @cached_property
    def upload(self) -> dict[str, Any] | None:
        """The settings of the uploader, where the person may upload."""
        if self.workspace is None or not self.may_upload:
            return None
        here = self.workspace.id
        kinds = [
            {"name": kind.name, "extensions": list(kind.extensions), "limit_bytes": kind.limit_bytes}
            for kind in file_kinds.POLICY
        ]
        return {
            "api_url": url_for("uploads_api.begin", w=here).removesuffix("/uploads"),
            "files_url": self.files_url,
            "more_space_url": url_for("usage.ask_form", workspace_id=here),
            "kinds": kinds,
            "parts": {
                "from_bytes": part_plan.MIN_SIZE,
                "part_bytes": part_plan.USUAL_PART,
                "most": part_plan.MOST_PARTS,
            },
        }


def install(app: Flask) -> None:
    """Give every template its ``frame``: None for somebody who is not signed in."""

    def frame() -> dict[str, Any]:
        if speaks_json() or not current_user.is_authenticated:
            return {"frame": None}
        return {"frame": Frame(person())}

    app.context_processor(frame)
