"""1 GB in files of 64 MB: sent by the client to the store directly, against the same bytes through a Flask form.

Three ways: as the page does it, with a session cookie, each file begun once its digest is known and committed once it
has arrived (the page sends batches, and files of this size come one at a time); begun and committed one by one with a
token; begun and committed in a batch each, as the API offers to whoever sends many.

Counted: user and system time of the portal's web processes with all their children, and by how much their memory
(peaks of all processes, added up) grew beyond what they held before. The peer is the few lines that take a form and
pass the file on to the same store, on the same server. Worker and clock, which check every file whatever way it came,
are shown beside it: the peer has nobody who does that.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from bench import peer
from bench.deployment import Deployment, deployed
from bench.served import PORTAL, Running, Usage, served, started

MB = 1024 * 1024
FILE, FILES = 64 * MB, 16
CHUNK = MB
WARM = 12  # small uploads first, each on a connection of its own: every web process has then met the store
# The head of an MP4: random bytes behind it are what a film looks like, to a scanner and to a store.
HEAD = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x7f\xff\xff\xffmdat"
WORK = "1 GB in files of 64 MB"


def run() -> list[dict[str, Any]]:
    """Rows for the table."""
    with deployed() as here:
        film = _film(here, FILE)
        spent, assets = _ours(here, film)
        theirs = _theirs(here, film)
        behind = _behind(here, assets) / len(spent)
    growth = max(each.memory for each in spent)
    as_the_page, one_by_one, batches = (each.cpu for each in spent)
    return [
        _row(
            "CPU of the web processes, s; begun and committed as the page does it", as_the_page, theirs.cpu, 3, "≤ 1/20"
        ),
        _row("the same, one by one with a token", one_by_one, theirs.cpu, 3, "none"),
        _row("the same, begun in a batch and committed in a batch", batches, theirs.cpu, 3, "none"),
        _row("their memory, growth in MB; peer: a Flask form", growth / MB, theirs.memory / MB, 1, "ours ≤ 5 MB"),
        {
            "work": WORK,
            "measure": "CPU of worker and scheduler (start, fetch, hash, scan, previews), s",
            "ours": round(behind, 2),
            "peer": "has none",
            "ratio": None,
            "target": None,
        },
    ]


def _ours(here: Deployment, film: Path) -> tuple[list[Usage], list[str]]:
    """What the web processes used, for each of the three ways; the ids of the assets."""
    spent, made = [], []
    with served(PORTAL, here.environment, here.folder, here.port) as portal:
        small = _film(here, MB)
        headers = _page_headers(here)
        for _ in range(WARM):
            Client(here).upload(small)
            Client(here, headers=headers).upload_as_the_page([small])
        page = Client(here, headers=headers)
        for way in (page.upload_as_the_page, Client(here).upload_one_by_one, Client(here).upload_in_batches):
            usage, assets = _spent(portal, partial(way, [film] * FILES))
            spent.append(usage)
            made += assets
    return spent, made


def _behind(here: Deployment, assets: list[str]) -> float:
    """Seconds of CPU that worker and scheduler need until every asset is available."""
    with (
        served(PORTAL, here.environment, here.folder, here.port),
        started("worker", here.environment, here.folder) as worker,
        started("clock", here.environment, here.folder) as clock,
    ):
        _await_all(here, assets)
        return worker.usage().cpu + clock.usage().cpu


def _theirs(here: Deployment, film: Path) -> Usage:
    with served(peer.APPLICATION, here.environment, here.folder, worker_class="gthread") as bare:
        address = f"http://127.0.0.1:{bare.port}/form"

        def send(film: Path) -> int:
            status, words = _post_form(address, {}, film)
            assert status == 200, words
            return status

        small = _film(here, MB)
        for _ in range(WARM):
            send(small)
        spent, _ = _spent(bare, lambda: [send(film) for _ in range(FILES)])
    return spent


def _film(here: Deployment, size: int) -> Path:
    path = here.folder / f"film-{size}.mp4"
    path.write_bytes(HEAD + os.urandom(size - len(HEAD)))
    return path


def _spent(site: Running, work: Any) -> tuple[Usage, Any]:
    site.forget_peaks()
    before = site.usage()
    result = work()
    after = site.usage()
    return Usage(after.cpu - before.cpu, after.memory - before.memory), result


class Client:
    """What a client of the API does: begin, the form to the store, commit."""

    def __init__(self, here: Deployment, mime_type: str = "video/mp4", headers: dict[str, str] | None = None) -> None:
        self.here = here
        self.mime_type = mime_type
        self.portal = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
        self.headers = {"Host": here.host, **(headers or {"Authorization": f"Bearer {here.cast.alice.token}"})}

    def upload(self, film: Path) -> str:
        """Send one file; the id of its asset."""
        begun = self.call(self.here.cast.url("uploads"), self._request(film))
        _send(film, begun)
        return self.commit(begun)

    def upload_one_by_one(self, films: list[Path]) -> list[str]:
        """Send some files; the ids of their assets."""
        return [self.upload(film) for film in films]

    def upload_as_the_page(self, films: list[Path]) -> list[str]:
        """The same as static/js/uploader.js does it: batches of one, with digest and idempotency key."""
        uploads, assets = self.here.cast.url("uploads"), []
        for film in films:
            digest = hashlib.sha256(film.read_bytes()).hexdigest()
            item = {**self._request(film), "sha256": digest, "idempotency_key": str(uuid4())}
            (begun,) = self.call(f"{uploads}/batch", {"items": [item]})["items"]
            _send(film, begun)
            (done,) = self.call(f"{uploads}/batch/commit", {"items": [{"upload_id": begun["upload_id"]}]})["items"]
            assets.append(str(done["asset_id"]))
        return assets

    def upload_as_they_arrive(self, films: list[Path]) -> list[str]:
        """The same, begun in a batch, each committed when it has arrived."""
        return [self.commit(begun) for begun in self._sent(films)]

    def upload_in_batches(self, films: list[Path]) -> list[str]:
        """The same, begun in a batch and committed in another."""
        arrived = {"items": [{"upload_id": begun["upload_id"]} for begun in self._sent(films)]}
        return [each["asset_id"] for each in self.call(self.here.cast.url("uploads/batch/commit"), arrived)["items"]]

    def commit(self, begun: dict[str, Any]) -> str:
        """The id of the asset that it is now."""
        return str(self.call(f"{self.here.cast.url('uploads')}/{begun['upload_id']}/commit", {})["asset_id"])

    def _sent(self, films: list[Path]) -> Iterator[dict[str, Any]]:
        """Each upload of a batch once its bytes have arrived."""
        batch = self.call(self.here.cast.url("uploads/batch"), {"items": [self._request(film) for film in films]})[
            "items"
        ]
        for film, begun in zip(films, batch, strict=True):
            _send(film, begun)
            yield begun

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """One POST to the API."""
        try:
            answer, words = self._post(path, body)
        except ConnectionError:  # the portal ends what was silent for longer than it keeps a connection
            self.portal.close()
            answer, words = self._post(path, body)
        assert answer.status < 300, words
        found: dict[str, Any] = json.loads(words)
        return found

    def _request(self, film: Path) -> dict[str, Any]:
        return {"file_name": film.name, "mime_type": self.mime_type, "size_bytes": film.stat().st_size}

    def _post(self, path: str, body: dict[str, Any]) -> tuple[http.client.HTTPResponse, bytes]:
        self.portal.request("POST", path, json.dumps(body), {**self.headers, "Content-Type": "application/json"})
        answer = self.portal.getresponse()
        return answer, answer.read()


def _page_headers(here: Deployment) -> dict[str, str]:
    """What the scripts of alice's page send: her session and the page's token."""
    browser = here.cast.alice.browser
    page = browser.get(here.cast.page("files")).text
    found = re.search(r'name="csrf-token" content="([^"]+)"', page)
    assert found is not None
    cookies = "; ".join(f"{cookie.key}={cookie.value}" for cookie in (browser._cookies or {}).values())
    return {"Cookie": cookies, "X-CSRFToken": found[1], "Accept": "application/json"}


def _send(film: Path, begun: dict[str, Any]) -> None:
    status, words = _post_form(begun["upload_url"], begun["fields"], film)
    assert status == 201, words


def _post_form(address: str, fields: dict[str, str], film: Path) -> tuple[int, bytes]:
    """Send a form with a file, read from the disk as it goes; status and answer."""
    mark = "stowage-bench-" + os.urandom(8).hex()
    parts = [
        f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n' for name, text in fields.items()
    ]
    head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{film.name}"\r\n'
    start = ("".join(parts) + head + "Content-Type: video/mp4\r\n\r\n").encode()
    end = f"\r\n--{mark}--\r\n".encode()
    length = len(start) + film.stat().st_size + len(end)
    headers = {"Content-Type": f"multipart/form-data; boundary={mark}", "Content-Length": str(length)}
    url = urlsplit(address)
    connection = http.client.HTTPConnection(url.hostname or "", url.port, timeout=120)
    connection.request("POST", url.path, _bytes(start, film, end), headers)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def _bytes(start: bytes, film: Path, end: bytes) -> Iterator[bytes]:
    yield start
    with film.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield chunk
    yield end


def _await_all(here: Deployment, assets: list[str], seconds: float = 180) -> None:
    """Wait until every one is available: by then everything is done that an upload causes."""
    client, until = here.cast.alice.api, time.monotonic() + seconds
    for asset_id in assets:
        while (asset := client.get(here.cast.url(f"assets/{asset_id}")).json or {})["status"] == "processing":
            if time.monotonic() > until:
                raise RuntimeError(f"still being checked after {seconds:.0f} s: {asset}")
            time.sleep(0.2)
        if asset["status"] != "available":
            raise RuntimeError(f"this file should be fine: {asset}")


def _row(measure: str, ours: float, theirs: float, digits: int, target: str) -> dict[str, Any]:
    return {
        "work": WORK,
        "measure": measure,
        "ours": round(ours, digits),
        "peer": round(theirs, digits),
        "ratio": round(ours / theirs, 4) if theirs else None,
        "target": target,
    }
