"""The demo: a tenant with people and workspaces, and pictures that are uploaded as any client uploads them.

Repeatable: what exists stays, what is missing is added. The password is derived from the installation's own key, so
it is the same at every run and nobody else can guess it.
"""

from __future__ import annotations

import hashlib
import hmac
import io
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import urllib3
from flask import current_app
from flask_babel import gettext as _
from PIL import Image

from portal.admin import service
from portal.database import transaction
from portal.errors import Conflict, Unavailable
from portal.identity import service as identity
from portal.settings import Settings
from portal.tenancy.models import TenantRole, WorkspaceRole

PICTURES = Path(__file__).parent.parent / "embedded" / "pictures"
TENANT = ("acme", "Acme Pictures", "pro")
PEOPLE = (
    ("alice@acme.example", "Alice Arden", TenantRole.MEMBER, "owns both workspaces"),
    ("bob@acme.example", "Bob Brook", TenantRole.MEMBER, "edits in Studio"),
    ("vera@acme.example", "Vera Vale", TenantRole.MEMBER, "views Studio"),
    ("tina@acme.example", "Tina Thorn", TenantRole.ADMIN, "administers the tenant"),
    ("olga@acme.example", "Olga Orr", TenantRole.MEMBER, "operates the installation"),
)
OPERATOR = PEOPLE[-1][0]
OWNER = PEOPLE[0][0]
WORKSPACES = (("studio", "Studio"), ("press", "Press kit"))
MEMBERS = (("bob@acme.example", WorkspaceRole.EDITOR), ("vera@acme.example", WorkspaceRole.VIEWER))
FINAL_SECONDS = 120
TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".pdf": "application/pdf", ".txt": "text/plain"}


@dataclass(frozen=True)
class Client:
    """A client of the JSON API."""

    base_url: str
    token: str
    http: urllib3.PoolManager

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """One JSON call. Raises ``Unavailable`` with the detail of the problem."""
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = self.http.request(method, f"{self.base_url}{path}", json=body, headers=headers)
        if answer.status >= 400:
            raise Unavailable(
                _("The demo stops. The portal answered: %(detail)s", detail=answer.json().get("detail", answer.status))
            )
        found: dict[str, Any] = answer.json() if answer.data else {}
        return found

    def send(self, workspace: str, name: str, content: bytes) -> None:
        """Upload one file: begin, bytes, commit."""
        spec = {"file_name": name, "mime_type": TYPES[Path(name).suffix], "size_bytes": len(content)}
        spec["sha256"] = hashlib.sha256(content).hexdigest()
        begun = self.call("POST", f"{workspace}/uploads", spec)
        if begun["method"] == "POST":
            fields: dict[str, Any] = {**begun["fields"], "file": (name, content, spec["mime_type"])}
            answer = self.http.request("POST", begun["upload_url"], fields=fields)
        else:
            answer = self.http.request("PUT", begun["upload_url"], body=content, headers=begun["headers"])
        if answer.status >= 300:
            raise Unavailable(
                _("The demo stops. The storage answered %(status)s to %(name)s.", status=answer.status, name=name)
            )
        self.call("POST", f"{workspace}/uploads/{begun['upload_id']}/commit", {})


@dataclass(frozen=True)
class DemoResult:
    """Files that were uploaded, how many of them are still being checked, and how to log in."""

    sent: int
    waiting: int
    base_url: str
    password: str

    def summary(self) -> str:
        """For a person at a terminal."""
        done = f"{self.sent} files were uploaded." if self.sent else "every file exists already."
        lines = [f"Demo: {done}"]
        if self.waiting:
            lines.append(f"{self.waiting} of them are still being checked.")
        lines.append(f"Log in at {self.base_url} with the password {self.password} as")
        return "\n".join([*lines, *(f"  {email:22} who {what}" for email, _name, _role, what in PEOPLE)])

    def logins(self) -> list[dict[str, str]]:
        """For a program."""
        return [{"email": email, "name": name, "role": role} for email, name, role, _what in PEOPLE]


def create() -> DemoResult:
    """Create what is missing. Raises ``Unavailable`` when the portal can't be reached."""
    settings: Settings = current_app.extensions["portal.settings"]
    password = hmac.new(settings.secret_keys[-1].encode(), b"demo", hashlib.sha256).hexdigest()[:12]
    workspaces = _people_and_workspaces(password)
    user = identity.find_user(OWNER)
    assert user is not None  # _people_and_places made it
    with transaction():
        token, plain = identity.create_token(user.id, "Demo pictures", days=1)
    try:
        client = Client(settings.base_url, plain, urllib3.PoolManager(retries=False, timeout=30))
        sent = _fill(client, workspaces[0], _files()) + _fill(client, workspaces[1], _press())
        waiting = _wait(client, workspaces)
    except urllib3.exceptions.HTTPError as error:
        raise Unavailable(
            _("The demo can't reach %(address)s: %(error)s.", address=settings.base_url, error=type(error).__name__)
        ) from None
    finally:
        with transaction():
            identity.revoke_token(user.id, token.id)
    return DemoResult(sent, waiting, settings.base_url, password)


def _people_and_workspaces(password: str) -> list[UUID]:
    slug = TENANT[0]
    _unless_it_exists(partial(service.open_tenant, *TENANT))
    for email, name, role, _what in PEOPLE:
        _unless_it_exists(partial(service.add_user, slug, email, role, password, name=name))
    _unless_it_exists(partial(service.make_operator, OPERATOR))
    for workspace, title in WORKSPACES:
        _unless_it_exists(partial(service.open_workspace, slug, workspace, title, OWNER))
    for email, workspace_role in MEMBERS:
        _unless_it_exists(partial(service.set_member, slug, WORKSPACES[0][0], email, workspace_role))
    tenant = service.require_tenant(slug)
    return [service.require_workspace(tenant, workspace).id for workspace, _title in WORKSPACES]


def _unless_it_exists(make: Callable[[], object]) -> None:
    try:
        make()
    except Conflict:
        return  # an earlier run made it


def _fill(client: Client, workspace_id: UUID, files: list[tuple[str, bytes]]) -> int:
    workspace, sent = f"/v1/workspaces/{workspace_id}", 0
    for name, content in files:
        listed = client.call("GET", f"{workspace}/assets?q={quote(name)}")["items"]
        if name not in (item["file_name"] for item in listed):
            client.send(workspace, name, content)
            sent += 1
    return sent


def _wait(client: Client, workspaces: list[UUID]) -> int:
    """Wait until every file is checked and has its previews; how many have not when the time is over."""
    deadline = time.monotonic() + FINAL_SECONDS
    while True:
        pages = [client.call("GET", f"/v1/workspaces/{each}/assets?limit=200")["items"] for each in workspaces]
        items = [item for page in pages for item in page]
        unfinished = [item for item in items if item["status"] == "processing" or item["previews"] == "pending"]
        if not unfinished or time.monotonic() > deadline:
            return len(unfinished)
        time.sleep(0.5)


def _files() -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted(PICTURES.glob("*.jpg"))]


def _press() -> list[tuple[str, bytes]]:
    """A contact sheet of the pictures as PDF, and a note."""
    pictures = [Image.open(path).convert("RGB") for path in sorted(PICTURES.glob("*.jpg"))[:6]]
    sheet = Image.new("RGB", (1240, 1754), "white")  # A4 at 150 dpi
    for place, picture in enumerate(pictures):
        picture.thumbnail((540, 500))
        sheet.paste(picture, (60 + place % 2 * 580, 60 + place // 2 * 560))
    out = io.BytesIO()
    sheet.save(out, "PDF", resolution=150)
    notes = (PICTURES / "LICENSES.md").read_bytes()
    return [("contact-sheet.pdf", out.getvalue()), ("picture-credits.txt", notes)]
