"""What an API token was made for: its scopes. Which permission needs which one is tenancy's (``permissions``)."""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

from flask_babel import gettext as _

from portal.errors import Forbidden

READING_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))


class Scope(StrEnum):
    """One part of what a person may do. No scope includes another: a token that does everything has all three."""

    READ = "read"  # every GET: files, lists, settings, reports
    UPLOAD = "upload"  # sessions for uploads: begin, look at, commit, cancel
    MANAGE = "manage"  # every other change


def scope_for(method: str) -> Scope:
    """What a token needs for a request that is no upload."""
    return Scope.READ if method in READING_METHODS else Scope.MANAGE


def allows(scopes: Collection[Scope] | None, *needed: Scope) -> bool:
    """Whether one of ``needed`` is among the scopes; None has all of them."""
    return scopes is None or any(scope in scopes for scope in needed)


def insufficient(scope: Scope) -> Forbidden:
    """The refusal for a token without this scope: the code that RFC 6750, 3.1 gives it."""
    detail = _("This token may not do this: it lacks the scope “%(scope)s”. Create another token.", scope=scope)
    return Forbidden(detail, code="insufficient_scope", scope=scope.value)


def too_narrow() -> Forbidden:
    """The refusal for a token of some workspaces at what lies outside any workspace."""
    return Forbidden(
        _("This token is limited to some workspaces, and this concerns more than them. Create another token."),
        code="token_limited",
    )
