"""The least privileges of a key, as a policy to paste at each provider. Pure.

The minimum lists the bucket and gets, puts and deletes under the prefix. Every right beyond it is optional, and named
with what is lost without it. Where a provider's policies are coarser, the policy says what it can't express.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l

Document = dict[str, Any]
Words = Any  # text that is translated when it is shown


@dataclass(frozen=True)
class Right:
    """One right: AWS's names of its actions on the bucket and on objects, and what is lost without it."""

    name: str
    title: Words
    lost: Words
    on_bucket: tuple[str, ...] = ()
    on_objects: tuple[str, ...] = ()

    @property
    def optional(self) -> bool:
        """Whether Stowage works without it."""
        return self.name != "minimum"


MINIMUM = Right(
    "minimum",
    _l("List the bucket; get, put and delete under the prefix"),
    _l("Nothing works without these."),
    ("s3:ListBucket",),
    ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
)
OPTIONAL = (
    Right(
        "parts",
        _l("List the parts of unfinished uploads"),
        _l("Large uploads can't be resumed after a reload."),
        ("s3:ListBucketMultipartUploads",),
        ("s3:ListMultipartUploadParts",),
    ),
    Right(
        "abort",
        _l("Abort unfinished uploads"),
        _l("Parts of aborted uploads stay and are paid for, until a lifecycle rule removes them."),
        (),
        ("s3:AbortMultipartUpload",),
    ),
    Right(
        "cors",
        _l("Read and set the CORS rules"),
        _l("The CORS rule for this portal must be pasted by hand, and again when its address changes."),
        ("s3:GetBucketCORS", "s3:PutBucketCORS"),
    ),
    Right(
        "lifecycle",
        _l("Read the lifecycle rules"),
        _l("A rule that would remove files of Stowage is not noticed."),
        ("s3:GetLifecycleConfiguration",),
    ),
    Right(
        "versions",
        _l("List old versions, and delete those of a test"),
        _l("It is not known whether the bucket keeps old versions, and those of the test's own objects stay."),
        ("s3:GetBucketVersioning", "s3:ListBucketVersions"),
        ("s3:DeleteObjectVersion",),
    ),
)
KMS = Right(
    "kms",
    _l("Use the encryption key"),
    _l("Files can't be encrypted with your own key (SSE-KMS)."),
)
_HOSTS = {
    "amazonaws.com": "aws",
    "amazonaws.com.cn": "aws",
    "r2.cloudflarestorage.com": "r2",
    "backblazeb2.com": "b2",
    "wasabisys.com": "wasabi",
    "digitaloceanspaces.com": "digitalocean",
}
_BELOW_PREFIX = {"s3:ListBucket", "s3:ListBucketVersions"}  # what takes the condition s3:prefix


@dataclass(frozen=True)
class Policy:
    """What to paste at one provider, where to paste it, and what that provider can't express."""

    provider: str
    name: str
    where: str
    text: str
    cannot: tuple[str, ...] = ()


def rights(*, kms: bool = False) -> tuple[Right, ...]:
    """The minimum and the optional ones; with ``kms`` also the key's."""
    return (MINIMUM, *OPTIONAL, *((KMS,) if kms else ()))


def policies_for(
    bucket: str, prefix: str, region: str = "us-east-1", *, kms: bool = False, kms_key_id: str | None = None
) -> list[Policy]:
    """One policy a provider, for this bucket and prefix; ``kms`` adds the key's statement for AWS."""
    below = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
    return [
        _aws(bucket, below, region, kms, kms_key_id),
        _r2(bucket),
        _b2(bucket, below),
        _minio(bucket, below),
        _ceph(bucket, below),
        _seaweedfs(bucket, below),
        _wasabi(bucket, below),
        _digitalocean(bucket),
    ]


def provider_of(endpoint: str | None) -> str:
    """Which of the providers an endpoint belongs to, as far as its name tells; AWS's language, where it does not."""
    host = urlsplit(endpoint).hostname or "" if endpoint else "amazonaws.com"
    return next((provider for end, provider in _HOSTS.items() if host.endswith(end)), "minio")


def statements(bucket: str, below: str, wanted: Sequence[Right], *, partition: str = "aws") -> list[Document]:
    """The statements in AWS's language, each with what takes the same resource and condition."""
    arn = f"arn:{partition}:s3:::{bucket}"
    on_bucket = [action for right in wanted for action in right.on_bucket]
    listing = [action for action in on_bucket if action in _BELOW_PREFIX]
    rules = [action for action in on_bucket if action not in _BELOW_PREFIX]
    objects = [action for right in wanted for action in right.on_objects]
    condition: Document = {"Condition": {"StringLike": {"s3:prefix": [f"{below}*"]}}} if below else {}
    made: list[Document] = [
        {"Sid": "StowageList", "Effect": "Allow", "Action": listing, "Resource": arn, **condition},
        {"Sid": "StowageFiles", "Effect": "Allow", "Action": objects, "Resource": f"{arn}/{below}*"},
    ]
    if rules:
        made.append({"Sid": "StowageRules", "Effect": "Allow", "Action": rules, "Resource": arn})
    return made


def _aws(bucket: str, below: str, region: str, kms: bool, key: str | None) -> Policy:
    prefixes = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}
    partition = next((name for start, name in prefixes.items() if region.startswith(start)), "aws")
    made = statements(bucket, below, (MINIMUM, *OPTIONAL), partition=partition)
    cannot = []
    if kms:
        whole = (key or "").startswith("arn:")
        arn = key if whole else f"arn:{partition}:kms:{region}:ACCOUNT-ID:key/{key or 'KEY-ID'}"
        made.append(
            {
                "Sid": "StowageKey",
                "Effect": "Allow",
                "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
                "Resource": arn,
                "Condition": {"StringEquals": {"kms:ViaService": f"s3.{region}.amazonaws.com"}},
            }
        )
        if not whole:
            cannot.append(_("The key must be named by its ARN: replace the placeholders by your IDs."))
    where = _("IAM → Users → the user of this key → Add permissions → Create inline policy → JSON")
    return Policy("aws", "AWS", where, _json({"Version": "2012-10-17", "Statement": made}), tuple(cannot))


def _r2(bucket: str) -> Policy:
    token = {
        "name": "stowage",
        "policies": [
            {
                "effect": "allow",
                "permission_groups": [{"name": "Workers R2 Storage Bucket Item Write"}],
                "resources": {f"com.cloudflare.edge.r2.bucket.ACCOUNT-ID_default_{bucket}": "*"},
            }
        ],
    }
    return Policy(
        "r2",
        "Cloudflare R2",
        _("R2 → Manage API tokens → Create: “Object Read & Write”, this bucket only. For Cloudflare's API:"),
        _json(token),
        (
            _("A token can't be limited to a prefix: it can read, write and delete in the whole bucket."),
            _("CORS and lifecycle rules need an admin token. Paste them by hand instead."),
            _("There is no key service (SSE-KMS), and there are no versions."),
        ),
    )


def _b2(bucket: str, below: str) -> Policy:
    key = {
        "keyName": "stowage",
        "bucketId": f"ID-OF-{bucket}",
        "capabilities": ["listBuckets", "readBuckets", "listFiles", "readFiles", "writeFiles", "deleteFiles"],
        **({"namePrefix": below} if below else {}),
    }
    return Policy(
        "b2",
        "Backblaze B2",
        _(
            "Application Keys → Add a New Application Key: this bucket, read and write, the file name prefix. As a "
            "request to b2_create_key:"
        ),
        _json(key),
        (
            _("CORS and lifecycle rules need a key for all buckets (writeBuckets). Set them by hand instead."),
            _("A bucket always keeps old versions: set “keep only the last version” for this prefix."),
            _("There is no key service (SSE-KMS)."),
        ),
    )


def _minio(bucket: str, below: str) -> Policy:
    wanted = [right for right in (MINIMUM, *OPTIONAL) if right.name != "cors"]
    return Policy(
        "minio",
        "MinIO",
        _("mc admin policy create STORE stowage stowage.json, then mc admin policy attach STORE stowage --user KEY"),
        _json({"Version": "2012-10-17", "Statement": statements(bucket, below, wanted)}),
        (
            _("CORS is a setting of the whole server in the community edition (cors_allow_origin)."),
            _("Encryption keys (SSE-KMS) are granted to the server, not to a user."),
        ),
    )


def _ceph(bucket: str, below: str) -> Policy:
    principal = {"Principal": {"AWS": ["arn:aws:iam:::user/STOWAGE-USER"]}}
    made = [{**statement, **principal} for statement in statements(bucket, below, (MINIMUM, *OPTIONAL))]
    return Policy(
        "ceph",
        "Ceph",
        _("A bucket policy, set by the bucket's owner: s3cmd setpolicy stowage.json s3://%(bucket)s", bucket=bucket),
        _json({"Version": "2012-10-17", "Statement": made}),
        (
            _("Policies belong to the bucket: the user must be another one than the bucket's owner."),
            _("Older releases answer 403 for a missing file under a prefix; Stowage then looks in a listing."),
            _("Encryption keys are settings of the gateway."),
        ),
    )


def _seaweedfs(bucket: str, below: str) -> Policy:
    resource = f"{bucket}/{below}*" if below else bucket
    identity = {
        "name": "stowage-own-bucket",
        "credentials": [{"accessKey": "CHOOSE-A-KEY", "secretKey": "CHOOSE-A-LONG-SECRET"}],
        "actions": [f"{action}:{resource}" for action in ("Read", "List", "Write")],
    }
    return Policy(
        "seaweedfs",
        "SeaweedFS",
        _("An identity in the file of -s3.config, or by: weed shell → s3.configure"),
        _json({"identities": [identity]}),
        (
            _("Writing and deleting are one right."),
            _("A key for a prefix can't use form uploads: uploads go by signed PUT."),
            _("CORS, lifecycle and versions need rights for the whole bucket (Admin:%(bucket)s).", bucket=bucket),
        ),
    )


def _wasabi(bucket: str, below: str) -> Policy:
    return Policy(
        "wasabi",
        "Wasabi",
        _("Policies → Create policy → paste, then attach it to the user of this key"),
        _json({"Version": "2012-10-17", "Statement": statements(bucket, below, (MINIMUM, *OPTIONAL))}),
        (
            _("There is no key service (SSE-KMS)."),
            _("What is deleted early is still charged for the account's minimum duration."),
        ),
    )


def _digitalocean(bucket: str) -> Policy:
    return Policy(
        "digitalocean",
        "DigitalOcean Spaces",
        _("Spaces → Access keys → Create: limited access, this bucket, Read/Write/Delete. For /v2/spaces/keys:"),
        _json({"name": "stowage", "grants": [{"bucket": bucket, "permission": "readwrite"}]}),
        (
            _("A key can't be limited to a prefix: it can read, write and delete in the whole bucket."),
            _("CORS and lifecycle rules are set in the control panel, or by a key with full access."),
            _("There is no key service (SSE-KMS)."),
        ),
    )


def _json(document: Document) -> str:
    return json.dumps(document, indent=2)
