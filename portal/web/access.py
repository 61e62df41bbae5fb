"""Access marks: every view says who may call it, in exactly one of five ways.

``@public`` here, ``@signed_in`` and ``@operator`` in ``portal.identity.access``, ``@tenant(P)`` and ``@member(P)`` in
``portal.tenancy.access``. The mark is directly below the route: decorators below it run only for people who passed it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from flask import Flask

View = Callable[..., Any]
V = TypeVar("V", bound=View)


@dataclass(frozen=True)
class AccessMark:
    """Who may call a view; ``permission`` belongs to ``tenant`` and ``member``."""

    kind: Literal["public", "signed_in", "operator", "tenant", "member"]
    permission: str | None = None


def put_mark(view: V, mark: AccessMark) -> V:
    """Mark a view. Raises TypeError when it has a mark already: a view has exactly one."""
    if hasattr(view, "access_mark"):
        raise TypeError(f"{view.__module__}.{view.__name__} carries two access marks")
    view.access_mark = mark  # type: ignore[attr-defined]
    return view


def mark_of(view: View) -> AccessMark | None:
    """The mark of a view, or None."""
    mark = getattr(view, "access_mark", None)
    return mark if isinstance(mark, AccessMark) else None


def public(view: V) -> V:
    """Anybody may call this, signed in or not."""
    return put_mark(view, AccessMark("public"))


def require_marks(app: Flask) -> None:
    """Refuse to start with a route that says nothing about who may call it."""
    views = app.view_functions
    bare = sorted({rule.rule for rule in app.url_map.iter_rules() if mark_of(views[rule.endpoint]) is None})
    if bare:
        raise RuntimeError(f"routes without an access mark: {', '.join(bare)}")
