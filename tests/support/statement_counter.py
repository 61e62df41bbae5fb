"""Which statements a piece of work sends to the database, and every page for admins to try it on.

with counted() as statements:
    browser.get(address)
assert len(statements) <= 10
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import psycopg
from flask import Flask

from portal.web.access import mark_of


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements as they are sent, whoever sends them in this process; BEGIN and COMMIT are not among them."""
    statements: list[str] = []
    execute = psycopg.Cursor.execute

    def noted(self: Any, query: Any, *arguments: Any, **options: Any) -> Any:
        statements.append(" ".join(str(query).split()))
        return execute(self, query, *arguments, **options)

    psycopg.Cursor.execute = noted  # type: ignore[method-assign]
    try:
        yield statements
    finally:
        psycopg.Cursor.execute = execute  # type: ignore[method-assign]


def admin_pages_of(
    app: Flask, slug: str, tenant_id: UUID, workspace_id: UUID, quarantined_id: UUID | None = None
) -> dict[str, str]:
    """Endpoint -> address of everything that admins of a tenant and operators look at: in a tenant, at one of its
    workspaces, at a quarantined file.
    """
    places = {"tenant_slug": slug, "t": tenant_id}
    places |= dict.fromkeys(("w", "wid", "workspace_id"), workspace_id)
    known = places | ({"asset_id": quarantined_id} if quarantined_id else {})
    found = {}
    for rule in app.url_map.iter_rules():
        mark = mark_of(app.view_functions[rule.endpoint])
        if mark is None or mark.kind not in ("tenant", "operator") or "GET" not in (rule.methods or ()):
            continue
        if rule.arguments <= known.keys():
            values = {name: known[name] for name in rule.arguments}
            found[rule.endpoint] = app.url_map.bind("").build(rule.endpoint, values)
    return found
