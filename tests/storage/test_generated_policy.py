"""The policy that the page shows, on a store that enforces it: every step of an upload works with it, and nothing else.

SeaweedFS evaluates bucket policies in AWS's language, for objects and (with ``s3:prefix``) for listings. Rights to a
bucket's rules (CORS, lifecycle, versioning) it takes from identities alone: those are not proved here.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from portal.storage.models import StorageProfile
from portal.storage.policies import policies_for
from tests.support.api_client import done
from tests.support.client import Scene
from tests.support.engines import CUSTOMER, POLICY_ALONE, POLICY_ALONE_ARN
from tests.support.own_buckets import client_of, connect_own_bucket, make_bucket
from tests.uploads.test_multipart import begun, film, pieces, send

__all__ = ["film"]  # a fixture

PREFIX = "team/files"


def allow_what_the_page_shows(scene: Scene, bucket: str) -> None:
    """The owner pastes the generated policy, with the name of the key's user in it."""
    shown = next(each for each in policies_for(bucket, PREFIX) if each.provider == "ceph").text
    policy = shown.replace("arn:aws:iam:::user/STOWAGE-USER", POLICY_ALONE_ARN)
    client_of(scene.site.settings, CUSTOMER).put_bucket_policy(Bucket=bucket, Policy=policy)


@pytest.fixture
def own(scene: Scene) -> StorageProfile:
    """A bucket of theirs, connected with a key that has the rights of that policy alone, tested and active."""
    bucket = make_bucket(scene.site.settings)
    allow_what_the_page_shows(scene, bucket)
    profile = connect_own_bucket(scene.cast, bucket=bucket, identity=POLICY_ALONE, seen=False, activate=False)
    scene.site.run_jobs()
    shown = done(scene.alice.call("GET", f"storage-profiles/{profile.id}"))
    assert (shown["health"], shown["reason"]) == ("healthy", None), shown["probe"]
    done(scene.alice.call("POST", f"storage-profiles/{profile.id}/activate"))
    return profile


def keys_in(scene: Scene, bucket: str) -> list[str]:
    listed = client_of(scene.site.settings, CUSTOMER).list_objects_v2(Bucket=bucket)
    return [each["Key"] for each in listed.get("Contents", []) if not each["Key"].endswith("owner.json")]


def test_the_key_alone_may_do_nothing_and_with_the_policy_nothing_beside_the_prefix(scene: Scene) -> None:
    bucket = make_bucket(scene.site.settings)
    key = client_of(scene.site.settings, POLICY_ALONE)
    with pytest.raises(ClientError, match="AccessDenied"):
        key.put_object(Bucket=bucket, Key=f"{PREFIX}/a", Body=b"a")
    allow_what_the_page_shows(scene, bucket)
    key.put_object(Bucket=bucket, Key=f"{PREFIX}/a", Body=b"a")
    outside: list[Any] = [
        lambda: key.put_object(Bucket=bucket, Key="other/a", Body=b"a"),
        lambda: key.get_object(Bucket=bucket, Key="other/a"),
        lambda: key.delete_object(Bucket=bucket, Key="other/a"),
        lambda: key.list_objects_v2(Bucket=bucket, Prefix=""),
        lambda: key.put_bucket_policy(Bucket=bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": []})),
        lambda: key.delete_bucket(Bucket=bucket),
    ]
    for call in outside:
        with pytest.raises(ClientError, match="AccessDenied"):
            call()


def test_the_test_of_the_storage_finds_the_key_no_stronger_than_it_needs_to_be(
    scene: Scene, own: StorageProfile
) -> None:
    shown = done(scene.alice.call("GET", f"storage-profiles/{own.id}"))
    results = {step["name"]: step["result"] for step in shown["probe"]["steps"]}
    for name in ("reach", "credentials", "write", "read", "delete", "list", "put", "multipart", "copy", "privileges"):
        assert results[name] == "pass", (name, shown["probe"])


def test_a_file_is_sent_checked_opened_and_purged(scene: Scene, own: StorageProfile, text: bytes) -> None:
    sent = scene.bob.upload("note.txt", text)
    scene.site.run_jobs()
    scene.bob.wait(sent.asset_id, "available")
    assert scene.vera.download(sent.asset_id).content == text
    assert scene.bob.call("DELETE", f"assets/{sent.asset_id}?permanent=true").status_code == 204
    scene.site.run_jobs()
    scene.site.expire_upload(sent.upload_id)
    scene.site.sweep()
    scene.site.run_jobs()
    assert keys_in(scene, own.bucket or "") == []
    assert scene.site.broken(scene.cast) == []


def test_a_large_file_is_sent_in_parts_and_another_one_is_cancelled(
    scene: Scene, own: StorageProfile, film: bytes
) -> None:
    whole, cancelled = begun(scene.bob), begun(scene.bob)
    assert {answer.status_code for answer in send(scene.bob, whole, film)} == {200}
    assert len(scene.bob.upload_state(whole["upload_id"])["parts"]) == len(pieces(film, whole["part_size"]))
    assert send(scene.bob, cancelled, film, 1)[0].status_code == 200
    assert scene.bob.call("DELETE", f"uploads/{cancelled['upload_id']}").status_code == 204
    committed = done(scene.bob.commit(whole["upload_id"]))
    scene.site.run_jobs()
    assert scene.bob.wait(committed["asset_id"], "available")["size_bytes"] == len(film)
    listed = client_of(scene.site.settings, CUSTOMER).list_multipart_uploads(Bucket=own.bucket)
    assert listed.get("Uploads", []) == []


@pytest.mark.parametrize(
    ("actions", "words"),
    [
        (["s3:GetObject"], "Anybody can read every file"),
        (["s3:ListBucket"], "list"),
    ],
)
def test_a_bucket_that_is_public_on_a_real_store_is_warned_of(scene: Scene, actions: list[str], words: str) -> None:
    """SeaweedFS refuses to write without a key whatever a policy says: for that there is a store that misbehaves
    (test_probe_faults.py)."""
    bucket = make_bucket(scene.site.settings)
    arns = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    everybody = {"Effect": "Allow", "Principal": "*", "Action": actions, "Resource": arns}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [everybody]})
    client_of(scene.site.settings, CUSTOMER).put_bucket_policy(Bucket=bucket, Policy=policy)
    profile = connect_own_bucket(scene.cast, bucket=bucket, seen=False, activate=False)
    scene.site.run_jobs()
    shown = done(scene.alice.call("GET", f"storage-profiles/{profile.id}"))
    (step,) = [each for each in shown["probe"]["steps"] if each["name"] == "private"]
    assert step["result"] == "warn" and "This bucket is public" in step["detail"] and words in step["detail"], step
    assert "Block public access" in step["fix"]
