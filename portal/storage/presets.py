"""Stores that people bring, and what they need to know of each: where its addresses and keys are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask_babel import lazy_gettext as _

from portal.storage.models import AddressingStyle

Words = Any  # text that is translated when it is shown


@dataclass(frozen=True)
class Preset:
    """One kind of store. ``endpoint`` and ``region`` are examples; ``steps`` lead to a bucket and its key."""

    code: str
    name: Words
    endpoint: str
    region: str
    steps: tuple[Words, ...]
    region_hint: Words = ""
    note: Words = ""
    style: AddressingStyle = AddressingStyle.AUTO
    encryption: str = ""  # empty: the default of ``connection.checked``
    fixed_region: str = field(default="")


_OWN_HOST = _("Enter the address at which browsers and this portal reach it, with https and its port.")
_PRIVATE = _("Where it has no public address, an operator of this portal must allow it first.")

PRESETS = (
    Preset(
        "aws",
        "Amazon S3",
        "",
        "eu-central-1",
        (
            _("In the S3 console, create a bucket that blocks all public access, and note its region."),
            _("In IAM, create a user without console access, with the policy that Stowage shows after connecting."),
            _("Under “Security credentials” of that user, create an access key and copy both parts here."),
        ),
        region_hint=_("The S3 console shows it beside the bucket, such as eu-central-1."),
    ),
    Preset(
        "r2",
        "Cloudflare R2",
        "https://ACCOUNT.r2.cloudflarestorage.com",
        "auto",
        (
            _("In the Cloudflare dashboard, open R2 and create a bucket."),
            _("Under “Manage API tokens”, create a token with “Object Read & Write” for this bucket alone."),
            _("Copy the access key ID and the secret that are shown once, and the S3 endpoint below them."),
        ),
        note=_("R2 does not support uploads by form: Stowage uploads by signed PUT. R2 always encrypts by itself."),
        fixed_region="auto",
    ),
    Preset(
        "b2",
        "Backblaze B2",
        "https://s3.us-west-004.backblazeb2.com",
        "us-west-004",
        (
            _("Create a private bucket. The list of buckets shows its endpoint."),
            _("Under “Application Keys”, add a key that is limited to this bucket, with read and write access."),
            _("keyID is the access key ID, applicationKey is the secret. It is shown once."),
        ),
        region_hint=_("The second part of the endpoint, such as us-west-004."),
        note=_("B2 does not support uploads by form: Stowage uploads by signed PUT."),
        encryption="sse_s3",
    ),
    Preset(
        "wasabi",
        "Wasabi",
        "https://s3.eu-central-1.wasabisys.com",
        "eu-central-1",
        (
            _("Create a bucket and note its region; the endpoint is s3.REGION.wasabisys.com."),
            _("Create a user with programmatic access, and give it the policy that Stowage shows after connecting."),
            _("Copy the access key and the secret key that are shown once."),
        ),
        note=_("Wasabi charges each object for at least 90 days, however early it is deleted."),
    ),
    Preset(
        "spaces",
        "DigitalOcean Spaces",
        "https://fra1.digitaloceanspaces.com",
        "fra1",
        (
            _("Create a Spaces bucket with restricted file listing, without the CDN."),
            _("Under “Access Keys”, create a key with read, write and delete for this bucket."),
            _("The origin endpoint is shown on the bucket's page; leave the bucket's name in front of it out."),
        ),
        region_hint=_("The first part of the endpoint, such as fra1."),
    ),
    Preset(
        "ceph",
        "Ceph",
        "https://objects.example.com",
        "default",
        (
            _("Create a user: radosgw-admin user create --uid=stowage --display-name=Stowage"),
            _("Create a bucket with this user's keys, which the command has printed."),
            _OWN_HOST,
        ),
        region_hint=_("The zone group's name; most installations take any."),
        note=_PRIVATE,
        style=AddressingStyle.PATH,
    ),
    Preset(
        "minio",
        "MinIO",
        "https://minio.example.com:9000",
        "us-east-1",
        (
            _("Create a bucket, and an access key with the policy that Stowage shows after connecting."),
            _("Copy the access key and the secret key that are shown once."),
            _OWN_HOST,
        ),
        region_hint=_("us-east-1, unless the server says otherwise."),
        note=_PRIVATE,
        style=AddressingStyle.PATH,
    ),
    Preset(
        "seaweedfs",
        "SeaweedFS",
        "https://s3.example.com:8333",
        "us-east-1",
        (
            _("Add an identity with its key to the S3 configuration, with Read, Write and List for one bucket."),
            _("Create the bucket: s3.bucket.create -name files"),
            _OWN_HOST,
        ),
        region_hint=_("Any; us-east-1 is usual."),
        note=_PRIVATE,
        style=AddressingStyle.PATH,
    ),
    Preset(
        "other",
        _("Another store"),
        "https://s3.example.com",
        "us-east-1",
        (
            _("Stowage works with every store that speaks Amazon's S3 protocol."),
            _("It needs a bucket, a key that may list it, and read, write and delete below one prefix."),
            _OWN_HOST,
        ),
    ),
)
BY_CODE = {preset.code: preset for preset in PRESETS}
