"""The embedded store's ports beside S3's, as a page of any site can reach them from a browser on this machine."""

from __future__ import annotations

import pytest
import urllib3
from flask import Flask

from portal.storage.service import managed_bucket
from tests.support.engines import TestEngines

KEY = "workspaces/attacked/uploads/1/secret.txt"
FROM_ELSEWHERE = {"Origin": "https://evil.example"}
REFUSED = (401, 403, 404, 405)


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE"])
def test_the_filer_serves_takes_and_removes_nothing_without_a_key(
    engines: TestEngines, in_app: Flask, method: str
) -> None:
    bucket = managed_bucket()
    bucket.put(KEY, b"secret", content_type="text/plain")
    address = f"http://127.0.0.1:{engines.store.ports['filer']}/buckets/{bucket.location.bucket}/{KEY}"
    answer = urllib3.request(method, address, headers=FROM_ELSEWHERE, retries=False)
    assert answer.status in REFUSED
    assert b"secret" not in answer.data
    assert bucket.head(KEY) is not None
    bucket.delete(KEY)


def test_a_form_of_another_site_writes_nothing_to_the_filer(engines: TestEngines, in_app: Flask) -> None:
    bucket = managed_bucket()
    address = f"http://127.0.0.1:{engines.store.ports['filer']}/buckets/{bucket.location.bucket}/{KEY}"
    form = {"file": ("page.html", b"<script>alert(1)</script>", "text/html")}
    answer = urllib3.request("POST", address, fields=form, headers=FROM_ELSEWHERE, retries=False)
    assert answer.status in REFUSED
    assert bucket.head(KEY) is None


def test_a_volume_takes_nothing_without_a_key(engines: TestEngines) -> None:
    address = f"http://127.0.0.1:{engines.store.ports['volume']}/1,0123456789"
    for method in ("POST", "DELETE"):
        assert urllib3.request(method, address, fields={"file": ("a", b"a")}, retries=False).status == 401


# What SeaweedFS' master does for whoever asks: drop a bucket with all its files, hand out keys, compact, tell.
MASTER = (
    "col/delete?collection={bucket}",
    "dir/assign",
    "dir/lookup?fileId=1,0123456789&read=yes",
    "vol/vacuum",
    "vol/status",
)


@pytest.mark.parametrize("command", MASTER)
@pytest.mark.parametrize("part", ["master", "volume", "filer", "admin", "s3"])
def test_no_part_drops_a_bucket_or_hands_out_keys(engines: TestEngines, in_app: Flask, part: str, command: str) -> None:
    bucket = managed_bucket()
    bucket.put(KEY, b"secret", content_type="text/plain")
    path = command.format(bucket=bucket.location.bucket)
    answer = urllib3.request(
        "GET", f"http://127.0.0.1:{engines.store.ports[part]}/{path}", headers=FROM_ELSEWHERE, retries=False
    )
    assert answer.status in REFUSED
    assert "Authorization" not in answer.headers
    assert bucket.head(KEY) is not None
    bucket.delete(KEY)
