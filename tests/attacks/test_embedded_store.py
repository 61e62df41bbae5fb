"""The embedded store's ports beside S3's, as a page of any site, or another account of this machine, can reach them."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

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


def weed(engines: TestEngines, home: Path, command: list[str], typed: str = "") -> str:
    """What ``weed`` prints for an account whose home folder is this one.

    It repeats what was refused without end: it is given some seconds.
    """
    # A stranger is another account where we are root; else only the home folder, with the key in it, is another.
    account = 65534 if os.getuid() == 0 and home != engines.store.home else None
    run = subprocess.Popen(
        [str(Path(sys.prefix) / "bin" / "weed"), *command],
        cwd=home,
        env={"HOME": str(home), "TMPDIR": str(home), "PATH": os.environ["PATH"]},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        user=account,
        group=account,
        extra_groups=None if account is None else [],
    )
    try:
        return run.communicate(typed, timeout=8)[0]
    except subprocess.TimeoutExpired:
        run.kill()
        return run.communicate()[0]


@pytest.fixture
def stranger() -> Iterator[Path]:
    """The home folder of another local account: it has no key of ours."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        yield Path(folder)


def test_another_account_neither_lists_nor_removes_files_by_grpc(
    engines: TestEngines, in_app: Flask, stranger: Path
) -> None:
    bucket = managed_bucket()
    bucket.put(KEY, b"secret", content_type="text/plain")
    ports = engines.store.ports
    shell = [
        "shell",
        f"-master=127.0.0.1:{ports['master']}.{ports['master.grpc']}",
        f"-filer=127.0.0.1:{ports['filer']}.{ports['filer.grpc']}",
    ]
    place = f"/buckets/{bucket.location.bucket}/{KEY}"
    listing = f"fs.ls {place.rpartition('/')[0]}\nexit\n"
    assert "secret.txt" in weed(engines, engines.store.home, shell, listing), "the command itself works, with our key"
    assert "secret.txt" not in weed(engines, stranger, shell, listing)
    weed(engines, stranger, shell, f"lock\nfs.rm -r {place}\nexit\n")
    assert bucket.head(KEY) is not None
    bucket.delete(KEY)


def copied_volumes(engines: TestEngines, home: Path, target: Path, bucket: str) -> list[Path]:
    """What ``weed backup`` of each volume leaves in a folder."""
    master = f"-master=127.0.0.1:{engines.store.ports['master']}.{engines.store.ports['master.grpc']}"
    for volume in range(1, 8):
        weed(engines, home, ["backup", f"-dir={target}", f"-collection={bucket}", f"-volumeId={volume}", master])
    return [path for path in target.rglob("*.dat") if path.stat().st_size > 8]  # a new one has 8 bytes of header


def test_another_account_copies_no_volume_by_grpc(
    engines: TestEngines, in_app: Flask, stranger: Path, tmp_path: Path
) -> None:
    bucket = managed_bucket()
    bucket.put(KEY, b"secret", content_type="text/plain")
    assert copied_volumes(engines, engines.store.home, tmp_path, bucket.location.bucket), "it works with our key"
    assert not copied_volumes(engines, stranger, stranger, bucket.location.bucket)
    bucket.delete(KEY)


def test_nobody_else_reads_the_key_of_the_parts(engines: TestEngines) -> None:
    folder = engines.store.home / ".seaweedfs"
    assert {path.name: path.stat().st_mode & 0o077 for path in folder.iterdir()} == {
        "grpc.crt": 0,
        "grpc.key": 0,
        "security.toml": 0,
    }
