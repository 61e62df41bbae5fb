"""The table of docs/access.md: who may call which address, from the address map and the map of permissions.

    python -m tests.support.access_table > docs/access.md

A test compares the file with the application, so that a new address, or another right, is seen in review.
"""

from __future__ import annotations

from cryptography.fernet import Fernet
from flask import Flask
from werkzeug.routing import Rule

from portal.app import create_app
from portal.settings import Settings
from portal.tenancy.models import TenantRole, WorkspaceRole
from portal.tenancy.permissions import OF_TENANT_ROLE, OF_WORKSPACE_ROLE, Permission
from portal.web.access import AccessMark, mark_of

HEAD = """# Who may do what

Every address of the portal, and who may call it. `python -m tests.support.access_table > docs/access.md` writes it; a
test compares it with the application.

- **anybody**: without logging in. **signed in**: everybody who has logged in, or sends an API token.
- **viewer, editor, owner**: members of the workspace in the address, by their role there. For everybody else it is as
  if the workspace did not exist (404); members whose role does not allow it are refused (403).
- **admin**: administrators of the tenant, whether they are members of the workspace or not. They see no file of a
  workspace that they are no member of. Another tenant's address is a 404 for everybody.
- **operator**: those who run the installation. It opens no tenant's files.
- An API token does at most what its person may do, in its workspaces, with its scopes: `read` for GET, `upload` for
  uploads, `manage` for everything else. A disabled membership, and a blocked account, open nothing.

| method | address | who |
|---|---|---|
"""


def rows(app: Flask) -> list[tuple[str, str, str]]:
    """Method, address and who may call it, in the order of the addresses."""
    found = {
        (rule.rule, method, _who(_mark(app, rule)))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    return [(method, address, who) for address, method, who in sorted(found)]


def document(app: Flask) -> str:
    """docs/access.md."""
    return HEAD + "".join(f"| {method} | `{address}` | {who} |\n" for method, address, who in rows(app))


def roles_with(permission: str) -> list[str]:
    """The roles that have a permission, in words."""
    wanted = Permission(permission)
    roles = [role.value for role in reversed(WorkspaceRole) if wanted in OF_WORKSPACE_ROLE[role]]
    return roles + (["admin"] if wanted in OF_TENANT_ROLE[TenantRole.ADMIN] else [])


def _mark(app: Flask, rule: Rule) -> AccessMark:
    mark = mark_of(app.view_functions[rule.endpoint])
    assert mark is not None, rule.rule
    return mark


def _who(mark: AccessMark) -> str:
    if mark.permission is not None:
        return ", ".join(roles_with(mark.permission))
    return {"public": "anybody", "signed_in": "signed in", "operator": "operator"}[mark.kind]


if __name__ == "__main__":
    nowhere = {
        "PORTAL_DATABASE_URL": "postgresql://nobody@127.0.0.1/nothing",
        "PORTAL_REDIS_URL": "redis://127.0.0.1/0",
        "PORTAL_S3_ENDPOINT": "http://127.0.0.1:1",
        "PORTAL_S3_PUBLIC_ENDPOINT": "http://127.0.0.1:1",
        "PORTAL_S3_BUCKET": "nothing",
        "PORTAL_S3_ACCESS_KEY_ID": "nobody",
        "PORTAL_S3_SECRET_ACCESS_KEY": "nothing",
        "PORTAL_SCANNER_URL": "off",
        "PORTAL_BASE_URL": "http://localhost",
        "PORTAL_SECRET_KEYS": "x" * 32,
        "PORTAL_VAULT_KEYS": Fernet.generate_key().decode(),
    }
    print(document(create_app(Settings.from_environ(nowhere))), end="")
