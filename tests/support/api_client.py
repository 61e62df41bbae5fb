"""A client as somebody else would write it: it knows an address, a token and the published contract."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

_TLS = httpx.create_ssl_context()  # made once: it takes longer than a request
FINAL_WITHIN = 60.0  # seconds until a file has to be final; the wiped queue has a longer one of its own


@dataclass
class Sent:
    """One upload: what ``begin`` and ``commit`` answered, and the bytes that were sent."""

    begun: dict[str, Any]
    committed: dict[str, Any]
    content: bytes = field(repr=False)

    @property
    def upload_id(self) -> str:
        """The session."""
        return str(self.begun["upload_id"])

    @property
    def asset_id(self) -> str:
        """The file."""
        return str(self.committed["asset_id"])


class ApiClient:
    """One person at one workspace, over HTTP."""

    def __init__(self, address: str, token: str, workspace: UUID | str) -> None:
        headers = {"Authorization": f"Bearer {token}"}
        self.http = httpx.Client(base_url=address, headers=headers, timeout=60, trust_env=False, verify=_TLS)
        self.store = httpx.Client(timeout=60, trust_env=False, verify=_TLS)  # never sees the token
        self.workspace = f"/v1/workspaces/{workspace}"

    def close(self) -> None:
        """End its connections."""
        self.http.close()
        self.store.close()

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """One request below the workspace."""
        return self.http.request(method, f"{self.workspace}/{path}", json=body, headers=headers)

    def begin(self, name: str, size: int, *, key: str | None = None, **spec: Any) -> httpx.Response:
        """Announce a file."""
        headers = {"Idempotency-Key": key} if key else {}
        body = {"file_name": name, "mime_type": "application/octet-stream", "size_bytes": size, **spec}
        return self.call("POST", "uploads", body, **headers)

    def send(self, begun: dict[str, Any], content: bytes) -> httpx.Response:
        """The bytes, straight to the store, by the request that ``begin`` described."""
        if begun["method"] == "POST":
            file = {"file": ("blob", content)}
            return self.store.post(begun["upload_url"], data=begun["fields"], files=file, headers=begun["headers"])
        return self.store.put(begun["upload_url"], content=content, headers=begun["headers"])

    def commit(self, upload_id: str, **body: Any) -> httpx.Response:
        """Say that they are there."""
        return self.call("POST", f"uploads/{upload_id}/commit", body)

    def sent(self, name: str, content: bytes, *, digest: bool = False, **spec: Any) -> dict[str, Any]:
        """Begin, and send the bytes; what ``begin`` answered."""
        if digest:
            spec["sha256"] = hashlib.sha256(content).hexdigest()
        begun = done(self.begin(name, len(content), **spec), 201)
        answer = self.send(begun, content)
        assert answer.status_code in (200, 201, 204), answer.text
        return begun

    def upload(self, name: str, content: bytes, **spec: Any) -> Sent:
        """The whole of it, up to the commit."""
        begun = self.sent(name, content, **spec)
        return Sent(begun, done(self.commit(begun["upload_id"])), content)

    def upload_state(self, upload_id: str) -> dict[str, Any]:
        """A session."""
        return done(self.call("GET", f"uploads/{upload_id}"))

    def asset(self, asset_id: str) -> dict[str, Any]:
        """A file."""
        return done(self.call("GET", f"assets/{asset_id}"))

    def quota(self) -> tuple[int, int]:
        """(used, reserved) of the workspace, in bytes."""
        answer = done(self.call("GET", "quota"))
        return answer["used_bytes"], answer["reserved_bytes"]

    def download(self, asset_id: str) -> httpx.Response:
        """Follow the link, as a browser would."""
        answer = self.call("GET", f"assets/{asset_id}/download")
        return self.store.get(answer.headers["Location"]) if answer.status_code == 302 else answer

    def wait(self, asset_id: str, *statuses: str, seconds: float = FINAL_WITHIN) -> dict[str, Any]:
        """Poll until the file has one of these (or, when none is named, any final) status and its previews are done."""
        deadline = time.monotonic() + seconds
        while True:
            asset = self.asset(asset_id)
            wanted = asset["status"] in statuses if statuses else asset["status"] != "processing"
            if wanted and asset["previews"] != "pending":
                return asset
            assert time.monotonic() < deadline, asset
            time.sleep(0.05)


def done(answer: httpx.Response, status: int = 200) -> dict[str, Any]:
    """The JSON of an answer that has to be this one."""
    assert answer.status_code == status, f"{answer.status_code}: {answer.text}"
    found: dict[str, Any] = answer.json()
    return found


def refused(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The facts of a refusal that has to be this one."""
    assert answer.headers["Content-Type"].startswith("application/problem+json"), answer.text
    problem = done(answer, status)
    assert (problem["status"], problem["code"]) == (status, code), problem
    assert problem["title"] and problem["detail"]
    return problem
