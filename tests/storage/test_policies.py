"""The least that a key must be allowed, as each provider takes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from portal.storage.policies import OPTIONAL, policies_for, rights


def policy(provider: str, prefix: str = "team/files", **options: Any) -> Any:
    made = next(each for each in policies_for("their-bucket", prefix, **options) if each.provider == provider)
    return json.loads(made.text)


def allowed(document: Any) -> dict[str, tuple[list[str], str, Any]]:
    return {each["Sid"]: (each["Action"], each["Resource"], each.get("Condition")) for each in document["Statement"]}


def test_aws_gets_exactly_the_bucket_and_the_prefix() -> None:
    found = allowed(policy("aws"))
    listing, arn, condition = found["StowageList"]
    assert "s3:ListBucket" in listing
    assert (arn, condition) == ("arn:aws:s3:::their-bucket", {"StringLike": {"s3:prefix": ["team/files/*"]}})
    files, where, _ = found["StowageFiles"]
    assert {"s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"} <= set(files)
    assert where == "arn:aws:s3:::their-bucket/team/files/*"
    every = [action for actions, *_ in found.values() for action in actions]
    assert not [action for action in every if "*" in action or action.startswith("s3:DeleteBucket")]
    assert len(every) == len(set(every))


def test_without_a_prefix_there_is_no_condition() -> None:
    found = allowed(policy("aws", ""))
    assert found["StowageList"][2] is None
    assert found["StowageFiles"][1] == "arn:aws:s3:::their-bucket/*"


def test_kms_names_the_key_and_only_through_s3() -> None:
    key = "arn:aws:kms:eu-central-1:123456789012:key/k"
    actions, arn, condition = allowed(policy("aws", region="eu-central-1", kms=True, kms_key_id=key))["StowageKey"]
    assert (sorted(actions), arn) == (["kms:Decrypt", "kms:GenerateDataKey"], key)
    assert condition == {"StringEquals": {"kms:ViaService": "s3.eu-central-1.amazonaws.com"}}
    assert "StowageKey" not in allowed(policy("aws"))


def test_another_partition_has_its_own_names() -> None:
    assert allowed(policy("aws", region="cn-north-1"))["StowageFiles"][1].startswith("arn:aws-cn:s3:::")


def test_every_provider_has_a_policy_and_names_what_it_can_not_express() -> None:
    made = policies_for("their-bucket", "team")
    assert [each.provider for each in made] == [
        *("aws", "r2", "b2", "minio", "ceph", "seaweedfs", "wasabi", "digitalocean")
    ]
    for each in made:
        assert json.loads(each.text)
        assert "their-bucket" in each.text
        assert each.where
        assert each.cannot or each.provider == "aws"


@pytest.mark.parametrize("right", OPTIONAL, ids=lambda right: right.name)
def test_each_optional_right_names_what_is_lost_without_it(right: Any) -> None:
    assert right.lost.endswith(".")
    assert right.on_bucket or right.on_objects


def test_the_rights_of_a_key_service_are_listed_where_it_is_used() -> None:
    assert "kms" not in [right.name for right in rights()]
    assert "kms" in [right.name for right in rights(kms=True)]
