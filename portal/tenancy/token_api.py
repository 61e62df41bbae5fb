"""API tokens by JSON. A token is made in a session, after the password: a token makes no other."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from flask import Blueprint
from pydantic import Field

from portal.database import transaction
from portal.identity import service as identity
from portal.identity.access import recently_proved, signed_in
from portal.identity.scopes import Scope
from portal.identity.service import Person
from portal.tenancy import tokens
from portal.tenancy.token_views import TOKENS
from portal.web.body import Answer, Body, Listing, Time
from portal.web.openapi import operation
from portal.web.paging import Paging, cut
from portal.web.rate_limits import rates

blueprint = Blueprint("tokens_api", __name__)


class CreateToken(Body):
    """A new token. Without ``days`` the usual life, without ``scopes`` all, without ``workspace_ids`` everywhere."""

    name: str
    days: int | None = None
    scopes: list[Scope] = Field(default=list(Scope), strict=False)
    workspace_ids: list[UUID] | None = None


class TokenView(Answer):
    """A token, without itself. Null ``scopes``: all that its person may do; null ``workspace_ids``: everywhere."""

    id: UUID
    name: str
    hint: str
    scopes: list[str] | None
    workspace_ids: list[UUID] | None
    created_at: Time
    expires_at: Time | None
    last_used_at: Time | None


class NewTokenView(TokenView):
    """A new token: the only answer that has the token itself."""

    token: str


@blueprint.get("/v1/me/tokens")
@signed_in
@operation(returns=Listing[TokenView], paged=True)
def index(user: Person, paging: Paging) -> Listing[TokenView]:
    """List your API tokens that were not revoked, the newest first, with their last use."""
    found = identity.list_tokens(user.id, after=paging.after_id(), most=paging.limit + 1)
    page, cursor = cut(found, paging, key=lambda token: token.id)
    return Listing[TokenView](items=[TokenView.model_validate(each) for each in page], next_cursor=cursor)


@blueprint.post("/v1/me/tokens")
@signed_in
@partial(recently_proved, by_token=False)
@operation(body=CreateToken, returns=NewTokenView, status=201, errors=("proof_required",))
def create(user: Person, body: CreateToken) -> NewTokenView:
    """Make an API token.

    In a session whose password was entered in the last 15 minutes; its person gets an e-mail.
    """
    rates().count(TOKENS, str(user.id))
    row, plain = tokens.create(user.id, tokens.WantedToken(body.name, body.days, body.scopes, body.workspace_ids))
    return NewTokenView(**TokenView.model_validate(row).model_dump(), token=plain)


@blueprint.delete("/v1/me/tokens/<uuid:token_id>")
@signed_in
@operation()
def revoke(user: Person, token_id: UUID) -> None:
    """End an API token of yours."""
    with transaction():
        identity.revoke_token(user.id, token_id)
