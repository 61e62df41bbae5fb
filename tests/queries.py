"""Which statements a piece of work sends to the database, and every page of the desks to try it on.

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


def desks(app: Flask, slug: str, tenant_id: UUID, workspace_id: UUID) -> dict[str, str]:
    """Endpoint -> address of everything that admins of a tenant and operators look at, and that needs no other id."""
    known = {"tenant_slug": slug, "t": tenant_id, "w": workspace_id, "workspace_id": workspace_id}
    found = {}
    with app.test_request_context():
        for rule in app.url_map.iter_rules():
            mark = mark_of(app.view_functions[rule.endpoint])
            if mark is None or mark.kind not in ("tenant", "operator") or "GET" not in (rule.methods or ()):
                continue
            if rule.arguments <= known.keys():
                found[rule.endpoint] = app.url_map.bind("").build(
                    rule.endpoint, {name: known[name] for name in rule.arguments}
                )
    return found
