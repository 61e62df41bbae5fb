"""What an owner enters to connect a bucket, checked and brought into one form. Pure: nothing is dialled."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from urllib.parse import urlsplit

from flask_babel import gettext as _

from portal.errors import Invalid
from portal.names import checked_label
from portal.network import hosts
from portal.network.egress import Egress
from portal.objectstore import keys
from portal.storage.models import AddressingStyle, Encryption

MAX_NAME = 100
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REGION = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
_SEGMENT = re.compile(r"[A-Za-z0-9._=-]+")
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_AMAZON = re.compile(r"(?P<bucket>.+\.)?s3[.-](dualstack\.)?((?P<region>[a-z0-9-]+)\.)?amazonaws\.com(\.cn)?")
_REGION_IN_HOST = re.compile(
    r"s3\.(?P<second>[a-z0-9-]+)\.(backblazeb2|wasabisys)\.com|(?P<first>[a-z0-9]+)\.digitaloceanspaces\.com"
)


@dataclass(frozen=True)
class Connection:
    """One own bucket. ``endpoint`` None is AWS; a ``region`` of "" and an ``encryption`` of None are chosen by
    ``checked``; ``kms_key_id`` None with SSE-KMS is the store's default key.
    """

    name: str
    bucket: str
    endpoint: str | None
    region: str
    addressing_style: AddressingStyle
    key_prefix: str
    encryption: Encryption | None
    kms_key_id: str | None
    access_key_id: str

    @property
    def store(self) -> str:
        """The store in one spelling: names of buckets are unique within it."""
        return bucket_namespace(self.endpoint, self.region)


@dataclass(frozen=True)
class Keys:
    """An access key and its secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


def checked(wanted: Connection, egress: Egress) -> Connection:
    """The same in one form, with empty values filled in. Raises ``Invalid`` that names the field."""
    bucket = _bucket(wanted.bucket)
    endpoint, region = _endpoint(wanted.endpoint, bucket, egress), _region(wanted.region.strip().lower())
    if endpoint is not None and (amazon := _AMAZON.fullmatch(urlsplit(endpoint).hostname or "")):
        endpoint, region = None, _region_of(amazon["region"], region)
    region = region or _region_in_host(endpoint)
    if not region and endpoint is None:
        raise Invalid(_("Enter the bucket's region, such as eu-central-1."), field="region")
    if wanted.addressing_style is AddressingStyle.VIRTUAL and ("." in bucket or bucket != bucket.lower()):
        message = _("A bucket with a dot or capital letters in its name is reached by path only.")
        raise Invalid(message, field="addressing_style")
    prefix = _prefix(wanted.key_prefix.strip())
    name = checked_label(wanted.name, MAX_NAME, required=False)
    name = name or (f"{bucket}/{prefix}" if prefix else bucket)[:MAX_NAME]
    return replace(
        wanted,
        name=name,
        bucket=bucket,
        endpoint=endpoint,
        region=region or "us-east-1",
        key_prefix=prefix,
        # AWS encrypts whatever comes and takes the header; of other stores only the test of the storage can tell.
        encryption=wanted.encryption or (Encryption.SSE_S3 if endpoint is None else Encryption.NONE),
        kms_key_id=_kms_key(wanted),
        access_key_id=_access_key(wanted.access_key_id),
    )


def checked_keys(access_key_id: str, secret_access_key: str) -> Keys:
    """Both without the spaces and line ends that copying adds. Raises ``Invalid``."""
    secret = secret_access_key.strip()
    if not secret:
        raise Invalid(_("Enter the secret access key."), field="secret_access_key")
    if len(secret) > 256 or not _PRINTABLE.fullmatch(secret):
        message = _("The secret access key has a space or another unusual character inside. Copy it once more.")
        raise Invalid(message, field="secret_access_key")
    if len(secret) == 20 and secret.startswith(("AKIA", "ASIA")):
        message = _("This is an access key ID. The secret is the longer one, and is shown once, when it is created.")
        raise Invalid(message, field="secret_access_key")
    return Keys(_access_key(access_key_id), secret)


# How the regions of AWS partitions begin, after botocore's ``partitions.json``. All others belong to ``aws``.
_PARTITIONS = (
    ("cn-", "aws-cn"),
    ("us-gov-", "aws-us-gov"),
    ("eusc-", "aws-eusc"),
    ("us-iso-", "aws-iso"),
    ("us-isob-", "aws-iso-b"),
    ("eu-isoe-", "aws-iso-e"),
    ("us-isof-", "aws-iso-f"),
    ("eu-isof-", "aws-iso-f"),
)


def bucket_namespace(endpoint: str | None, region: str) -> str:
    """Within what the name of a bucket is unique: a partition of AWS, or host and port of another store.

    Source: Amazon S3 User Guide, "General purpose bucket naming rules".
    """
    if endpoint is not None:
        return urlsplit(endpoint).netloc.lower()
    for prefix, partition in _PARTITIONS:
        if region.startswith(prefix):
            return partition
    return "aws"


def _endpoint(text: str | None, bucket: str, egress: Egress) -> str | None:
    """``scheme://host[:port]`` in lower case, or None for AWS."""
    given = (text or "").strip()
    if not given:
        return None
    given = given if "://" in given else f"https://{given}"
    parts = hosts.split(given, "endpoint", example="https://s3.example.com")
    for is_wrong, message in (
        (parts.scheme not in ("http", "https"), _("An endpoint begins with https://.")),
        (
            "@" in parts.netloc,
            _("Leave user name and password out of the endpoint; the keys have fields of their own."),
        ),
        (parts.path.strip("/"), _("Leave the path out of the endpoint; bucket and prefix have fields of their own.")),
        (parts.query or "?" in given, _("Leave the question mark and what follows it out of the endpoint.")),
        (parts.fragment or "#" in given, _("Leave the # and what follows it out of the endpoint.")),
    ):
        if is_wrong:
            raise Invalid(message, field="endpoint")
    host = (parts.hostname or "").rstrip(".")
    if host.startswith(f"{bucket.lower()}."):
        without = host.partition(".")[2]
        message = _("Leave the bucket's name out of the endpoint: %(endpoint)s", endpoint=without)
        raise Invalid(message, field="endpoint")
    shown, port = hosts.checked_host(parts, egress, "endpoint"), hosts.port_of(parts)
    usual = port == (80 if parts.scheme == "http" else 443)
    return f"{parts.scheme}://{shown}" if usual else f"{parts.scheme}://{shown}:{port}"


def _region_of(endpoints: str | None, entered: str) -> str:
    """The region, where the endpoint is one of AWS's own, which may name one."""
    if endpoints and entered and endpoints != entered:
        message = _(
            "The endpoint belongs to %(endpoint)s, but the region entered is %(region)s. Correct one of them.",
            endpoint=endpoints,
            region=entered,
        )
        raise Invalid(message, field="region")
    return endpoints or entered


def _region_in_host(endpoint: str | None) -> str:
    """The region that the host name of a known store contains; empty where none does."""
    host = urlsplit(endpoint or "").hostname or ""
    if host.endswith(".r2.cloudflarestorage.com"):
        return "auto"
    known = _REGION_IN_HOST.fullmatch(host)
    return (known["first"] or known["second"]) if known else ""


def _bucket(text: str) -> str:
    name = text.strip()
    if name.startswith(("s3://", "arn:", "http://", "https://")) or "/" in name:
        raise Invalid(_("Enter the bucket's name alone, without an address or path around it."), field="bucket")
    if not _BUCKET.fullmatch(name) or ".." in name:
        message = _(
            "A bucket's name has 3 to 63 letters, digits, dots and hyphens, with a letter or digit at each end."
        )
        raise Invalid(message, field="bucket")
    return name


def _region(region: str) -> str:
    if region and not _REGION.fullmatch(region):
        raise Invalid(_("A region is a short name such as eu-central-1, us-east-1 or auto."), field="region")
    return region


def _prefix(prefix: str) -> str:
    if prefix.startswith("/"):
        raise Invalid(_("A prefix begins without a slash: photos/2026, not /photos/2026."), field="key_prefix")
    prefix = prefix.removesuffix("/")
    if len(prefix.encode()) > keys.PREFIX_LIMIT:
        raise Invalid(
            _("A prefix has at most %(most)s characters: the keys of files come after it.", most=keys.PREFIX_LIMIT),
            field="key_prefix",
        )
    for segment in prefix.split("/") if prefix else ():
        if segment in (".", ".."):
            raise Invalid(_("A prefix must not have . or .. between its slashes."), field="key_prefix")
        if not _SEGMENT.fullmatch(segment):
            message = _("A prefix is made of letters, digits, . _ - = and single slashes.")
            raise Invalid(message, field="key_prefix")
    return prefix


def _kms_key(wanted: Connection) -> str | None:
    key = (wanted.kms_key_id or "").strip()
    if key and wanted.encryption is not Encryption.SSE_KMS:
        raise Invalid(_("A KMS key needs encryption by KMS. Choose that, or leave the key out."), field="kms_key_id")
    if len(key) > 2048 or (key and not _PRINTABLE.fullmatch(key)):
        raise Invalid(_("This is not the ID, alias or ARN of a KMS key."), field="kms_key_id")
    return key or None


def _access_key(text: str) -> str:
    key = text.strip()
    if not key:
        raise Invalid(_("Enter the access key ID."), field="access_key_id")
    if len(key) > 128 or not _PRINTABLE.fullmatch(key) or "/" in key:
        message = _("An access key ID has at most 128 letters and digits, no spaces and no slashes. Copy it once more.")
        raise Invalid(message, field="access_key_id")
    if key.startswith("ASIA"):
        message = _("This is a temporary key (ASIA…), which expires. Create a permanent one for this bucket.")
        raise Invalid(message, field="access_key_id")
    return key
