"""The page of a person's API tokens."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from flask import Blueprint, flash, redirect, render_template, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext as _

from portal.database import transaction
from portal.errors import Invalid
from portal.identity import service as identity
from portal.identity.access import recently_proved, signed_in
from portal.identity.scopes import Scope
from portal.identity.service import Person
from portal.tenancy import tokens
from portal.tenancy.token_forms import TokenForm
from portal.web.rate_limits import Rate, rates

blueprint = Blueprint("tokens", __name__, url_prefix="/account/tokens")
TOKENS = Rate("api-token", "30 per hour")


@blueprint.get("")
@signed_in
def index(user: Person) -> ResponseReturnValue:
    """A person's tokens, and the form for another."""
    return _page(user, _empty_form())


@blueprint.post("")
@signed_in
@partial(recently_proved, by_token=False)
def create(user: Person) -> ResponseReturnValue:
    """Make a token and show it, this once."""
    form = TokenForm().offer(tokens.workspace_names(user.id), identity.usual_token_days())
    if not form.validate_on_submit():
        return _page(user, form), 422
    rates().count(TOKENS, str(user.id))
    try:
        row, plain = tokens.create(user.id, form.wanted())
    except Invalid as problem:
        form.blame(problem)
        return _page(user, form), 422
    return _page(user, _empty_form(), fresh={"name": row.name, "token": plain}), 201


@blueprint.post("/<uuid:token_id>/revoke")
@signed_in
def revoke(user: Person, token_id: UUID) -> ResponseReturnValue:
    """End a token."""
    with transaction():
        identity.revoke_token(user.id, token_id)
    flash(_("The token was revoked."), "success")
    return redirect(url_for("tokens.index"), 303)


def _empty_form() -> TokenForm:
    return TokenForm(formdata=None, scopes=[scope.value for scope in Scope])


def _page(user: Person, form: TokenForm, fresh: dict[str, str] | None = None) -> str:
    form.offer(tokens.workspace_names(user.id), identity.usual_token_days())
    return render_template(
        "tokens/index.html",
        form=form,
        tokens=tokens.list_tokens(user.id),
        most_days=identity.longest_token_days(),
        scope_words={scope.value: words for scope, words in tokens.SCOPE_WORDS.items()},
        fresh=fresh,
    )
