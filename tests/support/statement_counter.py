"""Which statements a piece of work sends to the database, and every page for admins to try it on.

with counted() as statements:
    browser.get(address)
assert len(statements) <= 10
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from flask import Flask
from sqlalchemy import Engine, event

from portal.web.access import mark_of

CACHED = "FROM switches"  # read by whichever request comes first within three seconds: says nothing about a page


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements as they are sent by this process; BEGIN and COMMIT are not among them, nor what is ``CACHED``."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        if CACHED not in statement:
            statements.append(" ".join(statement.split()))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


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
