"""API tokens with the places that they are for, and the e-mail that announces one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

from portal.database import db, now, transaction
from portal.errors import Invalid
from portal.identity import service as identity
from portal.identity.models import ApiToken, User
from portal.identity.scopes import Scope
from portal.mail import service as mail
from portal.mail.service import Addressee
from portal.tenancy import service

SCOPE_WORDS = {
    Scope.READ: _l("Read files, lists and settings"),
    Scope.UPLOAD: _l("Upload files"),
    Scope.MANAGE: _l("Change and delete: files, folders, settings"),
}
EVERYTHING = _l("Everything that you may do")
EVERYWHERE = _l("All your workspaces")


@dataclass(frozen=True)
class WantedToken:
    """What a token is to be. ``days`` None: the usual life. ``workspace_ids`` None: all of the person's."""

    name: str
    days: int | None = None
    scopes: Collection[Scope] = tuple(Scope)
    workspace_ids: Collection[UUID] | None = None


@dataclass(frozen=True)
class ShownToken:
    """A token in its person's list. Null ``scopes`` or ``workspace_ids``: not limited."""

    id: UUID
    name: str
    hint: str
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    expired: bool
    scopes: list[str] | None
    workspace_ids: list[UUID] | None
    workspace_names: list[str]


def create(user_id: UUID, wanted: WantedToken) -> tuple[ApiToken, str]:
    """Make a token, and tell its person by e-mail: whoever took over a session can't do it in silence.

    Gives the row and the token itself, which is nowhere else. Raises ``Invalid`` with the field.
    """
    names = workspace_names(user_id)
    chosen = None if wanted.workspace_ids is None else set(wanted.workspace_ids)
    if chosen is not None and not chosen:
        raise Invalid(_("Choose at least one workspace."), field="workspace_ids")
    if chosen is not None and not chosen <= names.keys():
        raise Invalid(_("You are no member of one of these workspaces."), field="workspace_ids")
    with transaction():
        row, plain = identity.create_token(
            user_id,
            wanted.name,
            days=wanted.days,
            scopes=wanted.scopes,
            workspace_ids=None if chosen is None else sorted(chosen),
        )
        _announce(row, [names[each] for each in row.workspace_ids or ()])
    return row, plain


def list_tokens(user_id: UUID) -> list[ShownToken]:
    """A person's tokens that were not revoked, the newest first; expired ones are shown as such."""
    names, moment = workspace_names(user_id), now()
    return [
        ShownToken(
            id=token.id,
            name=token.name,
            hint=token.hint,
            created_at=token.created_at,
            expires_at=token.expires_at,
            last_used_at=token.last_used_at,
            expired=token.expires_at is not None and token.expires_at <= moment,
            scopes=token.scopes,
            workspace_ids=token.workspace_ids,
            # Where the person is no member any more the token opens nothing, and the name is not theirs to see.
            workspace_names=[names[each] for each in token.workspace_ids or () if each in names],
        )
        for token in identity.list_tokens(user_id)
    ]


def workspace_names(user_id: UUID) -> dict[UUID, str]:
    """The workspaces that somebody is a member of, with their names; with the tenant's where they have several."""
    tenants = service.places_of(user_id)
    several = len(tenants) > 1
    return {
        each.id: f"{tenant.name} · {each.name}" if several else each.name
        for tenant in tenants
        for each in tenant.workspaces
    }


def _announce(token: ApiToken, workspaces: list[str]) -> None:
    user = db.session.get_one(User, token.user_id)
    mail.enqueue(
        "token_created",
        [Addressee(user.name, user.email, user.language)],
        None,
        token_name=token.name,
        scopes=[SCOPE_WORDS[Scope(scope)] for scope in token.scopes or ()],
        workspaces=workspaces or [EVERYWHERE],
        expires_at=token.expires_at,
        path="/account/tokens",
    )
