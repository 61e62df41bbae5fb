"""The people of the tests, each test's own.

    def test_a_viewer_may_not_upload(cast: Cast) -> None:
        answer = cast.vera.api.post(cast.url("uploads"), json={...})          # by bearer token
        page = cast.vera.browser.get("/workspaces")                           # by session cookie, CSRF token included

``cast.acme`` is the tenant of alice (owner), bob (editor), vera (viewer) and tina (tenant admin, in no workspace);
``cast.press`` is its workspace. ``cast.evil`` and ``cast.lair`` are mallory's.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from flask_security.utils import hash_password
from itsdangerous import URLSafeTimedSerializer
from werkzeug.test import TestResponse

from portal.admin import service as admin
from portal.database import db, transaction
from portal.identity import service as identity
from portal.identity import sessions
from portal.identity.models import User
from portal.tenancy import service as tenancy
from portal.tenancy.models import Tenant, TenantRole, Workspace, WorkspaceRole
from portal.tenancy.permissions import permissions_of
from portal.tenancy.service import Member

PASSWORD = "correct horse battery"
SAFE = ("GET", "HEAD", "OPTIONS")


class Client(FlaskClient):
    """A test client at the portal's own address; ``fixed`` headers go with every request."""

    fixed: dict[str, str] = {}

    def open(self, *args: Any, **kwargs: Any) -> TestResponse:
        kwargs.setdefault("base_url", self.application.extensions["portal.settings"].base_url)
        kwargs["headers"] = {**self.fixed, **dict(kwargs.get("headers") or {})}
        return super().open(*args, **kwargs)


class Browser(Client):
    """A client that is signed in by a session, as after the login form, and sends the page's CSRF token."""

    def sign_in(self, secret: str) -> Browser:
        """Carry the session that the login form would have made."""
        raw = secrets.token_hex(16)
        with self.session_transaction(base_url=self.application.extensions["portal.settings"].base_url) as session:
            session.update({"_user_id": secret, "_fresh": True, "csrf_token": raw})
        key = self.application.config["SECRET_KEY"]
        self.fixed = {"X-CSRFToken": URLSafeTimedSerializer(key, salt="wtf-csrf-token").dumps(raw)}
        return self


@dataclass
class Actor:
    """Somebody with a login."""

    app: Flask
    id: UUID
    email: str
    name: str

    @cached_property
    def token(self) -> str:
        """An API token of theirs."""
        with self.app.app_context(), transaction():
            _row, plain = identity.create_token(self.id, "tests")
        return plain

    @property
    def api(self) -> Client:
        """A client that sends their token."""
        client = Client(self.app, use_cookies=False)
        client.fixed = {"Authorization": f"Bearer {self.token}"}
        return client

    @cached_property
    def browser(self) -> Browser:
        """Their browser, signed in."""
        return self.another_browser()

    def another_browser(self) -> Browser:
        """One more, with a session of its own."""
        with self.app.app_context(), transaction():
            secret = sessions.begin(self.id, "192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0")
        return Browser(self.app).sign_in(secret)


@dataclass(frozen=True)
class Cast:
    """Everybody, and their places."""

    app: Flask
    acme: Tenant
    press: Workspace
    alice: Actor
    bob: Actor
    vera: Actor
    tina: Actor
    evil: Tenant
    lair: Workspace
    mallory: Actor

    @property
    def everybody(self) -> list[Actor]:
        """Of both tenants."""
        return [self.alice, self.bob, self.vera, self.tina, self.mallory]

    @property
    def nobody(self) -> Client:
        """A client that is not signed in."""
        return Client(self.app)

    def url(self, path: str, workspace: Workspace | None = None) -> str:
        """An address of the API in a workspace (``press``)."""
        return f"/v1/workspaces/{(workspace or self.press).id}/{path}"

    def page(self, path: str) -> str:
        """The address of a page in ``press``."""
        return f"/t/{self.acme.slug}/w/{self.press.slug}/{path}"

    def member(self, actor: Actor, workspace: Workspace | None = None) -> Member:
        """Somebody at a workspace, as the access mark would find them; for tests that call services."""
        place = workspace or self.press
        with self.app.app_context():
            for tenant in tenancy.places_of(actor.id):
                if tenant.id == place.tenant_id:
                    role = next((each.role for each in tenant.workspaces if each.id == place.id), None)
                    allowed = permissions_of(tenant.role, role)
                    return Member(actor.id, actor.name, tenant.id, place.id, role, tenant.role, allowed)
        raise LookupError(f"{actor.name} is no member of this tenant")


def make_cast(app: Flask, *, limit_bytes: int | None = None, plan: str = "pro") -> Cast:
    """Two new tenants and five people; ``limit_bytes`` limits ``press``."""
    mark = secrets.token_hex(4)
    with app.app_context():
        acme = admin.open_tenant(f"acme-{mark}", "Acme", plan)
        evil = admin.open_tenant(f"evil-{mark}", "Evil", plan)
        people = {name: _person(app, name, mark) for name in ("alice", "bob", "vera", "tina", "mallory")}
        for name, tenant, role in _TENANT_ROLES:
            admin.add_user(f"{tenant}-{mark}", people[name].email, role, None)
        press = admin.open_workspace(acme.slug, "press", "Press", people["alice"].email, limit_bytes=limit_bytes)
        lair = admin.open_workspace(evil.slug, "lair", "Lair", people["mallory"].email)
        admin.set_member(acme.slug, "press", people["bob"].email, WorkspaceRole.EDITOR)
        admin.set_member(acme.slug, "press", people["vera"].email, WorkspaceRole.VIEWER)
        db.session.expunge_all()
    return Cast(app=app, acme=acme, press=press, evil=evil, lair=lair, **people)


_TENANT_ROLES = (
    ("alice", "acme", TenantRole.MEMBER),
    ("bob", "acme", TenantRole.MEMBER),
    ("vera", "acme", TenantRole.MEMBER),
    ("tina", "acme", TenantRole.ADMIN),
    ("mallory", "evil", TenantRole.ADMIN),
)


def _person(app: Flask, name: str, mark: str) -> Actor:
    """A person with ``PASSWORD``, hashed once a run: argon2 is slow on purpose."""
    user = User(
        email=f"{name}-{mark}@stowage.example",
        name=name.capitalize(),
        password=_hashed(),
        fs_uniquifier=secrets.token_hex(32),
    )
    with transaction() as session:
        session.add(user)
    return Actor(app, user.id, user.email, user.name)


@cache
def _hashed() -> str:
    hashed: str = hash_password(PASSWORD)
    return hashed
