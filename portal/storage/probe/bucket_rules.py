"""What becomes of objects by the bucket's own rules: encryption, lifecycle, versions. Read, never changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from portal.storage.probe import messages
from portal.storage.probe.context import ProbeContext
from portal.storage.probe.results import Finding, passed, skipped, warned
from portal.texts import Text

ABORT_DAYS = 7
VERSION_DAYS = 1  # the least that S3 allows
NO_SUCH_ALGORITHM = "STOWAGE-TEST"

Rule = dict[str, Any]


def encryption(context: ProbeContext) -> Finding:
    """Is the requested encryption applied? What counts is what HEAD shows, not that the store accepted the header."""
    wanted = context.location.encryption
    if _repeats_anything(context):
        return _unproven(context)
    proven = _applied(context, "sse-s3.txt", ServerSideEncryption="AES256") == "AES256"
    if proven:
        context.capabilities["encryption"].append("sse_s3")
    if wanted == "sse_kms":
        return _kms(context)
    if wanted == "none":
        detail = Text("This storage uses no encryption by the store.")
        offer = Text("The store can encrypt: choose SSE-S3 for this storage.")
        return passed(Text.join(detail, offer) if proven else detail)
    if proven:
        return passed(Text("Objects are encrypted by the store (SSE-S3), as HEAD shows."))
    return warned(
        Text("This storage is set to SSE-S3, but objects are not encrypted."),
        Text("Choose no encryption for this storage, or let the store's operator set up a key for it."),
    )


def lifecycle(context: ProbeContext) -> Finding:
    """Rules that would delete files are reported; one that ends unfinished uploads is proposed, never written."""
    answer = context.store.call("get_bucket_lifecycle_configuration")
    # Some stores answer 200 with another document: its entries are not rules.
    if messages.is_unsupported(answer) or (answer.ok and "Rules" not in answer.data):
        return skipped(Text("This store has no lifecycle rules: none deletes files, and none ends uploads."))
    if not answer.ok and not answer.missing:
        detail, _ = messages.explain(answer, Text("read the bucket's lifecycle rules"))
        unknown = Text(
            "Whether a rule would delete files is not known; the right s3:GetLifecycleConfiguration lets Stowage check."
        )
        return skipped(Text.join(detail, unknown))
    rules: list[Rule] = answer.data.get("Rules", [])
    prefix = context.location.full_key("")
    if deleting := [str(rule.get("ID", "–"))[:60] for rule in rules if deletes_files(rule, prefix)]:
        return warned(
            Text("A lifecycle rule of this bucket deletes files of Stowage: %(rules)s.", rules=", ".join(deleting)),
            Text(
                "Limit the rule to prefixes other than %(prefix)s. Stowage deletes expired files by itself.",
                prefix=context.bucket_and_prefix,
            ),
        )
    context.capabilities["abort_rule"] = any(ends_uploads(rule, prefix) for rule in rules)
    if context.capabilities["abort_rule"]:
        return passed(Text("No rule deletes files, and one ends uploads that were never finished."))
    return warned(
        Text("No rule deletes files. But no rule ends unfinished uploads in parts either, and they use space."),
        Text(
            "Add this rule to the bucket's others. Stowage never writes lifecycle rules: that would replace them all."
        ),
        json.dumps({"Rules": [abort_rule(prefix)]}, indent=2),
    )


def versioning(context: ProbeContext) -> Finding:
    """Does purging free space? Not where old versions are kept: the object is hidden, and a rule has to delete it."""
    answer = context.store.call("get_bucket_versioning")
    if messages.is_unsupported(answer):
        return passed(Text("This store keeps no old versions: what is purged is gone."))
    if not answer.ok:
        detail, _ = messages.explain(answer, Text("read whether the bucket keeps versions"))
        return skipped(Text.join(detail, Text("If it does, what is purged stays there as an old version.")))
    status = answer.data.get("Status")
    context.capabilities["versioning"] = status == "Enabled"
    if status not in ("Enabled", "Suspended"):
        return passed(Text("The bucket keeps no old versions: what is purged is gone."))
    context.capabilities["delete_versions"] = context.capabilities["versioning"] and _can_delete_versions(context)
    return _old_versions(context, status)


def abort_rule(prefix: str) -> Rule:
    """The one rule that is worth having, limited to our prefix."""
    return {
        "ID": "stowage-unfinished-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
    }


def versions_rule(prefix: str) -> Rule:
    """What makes a purge final in a bucket that keeps versions, limited to our prefix."""
    return {
        "ID": "stowage-old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "NoncurrentVersionExpiration": {"NoncurrentDays": VERSION_DAYS},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }


def ends_uploads(rule: Rule, prefix: str) -> bool:
    """Whether a rule ends unfinished uploads everywhere below ``prefix``."""
    enabled = rule.get("Status") == "Enabled"
    return enabled and "AbortIncompleteMultipartUpload" in rule and prefix.startswith(_prefix_of(rule))


def deletes_files(rule: Rule, prefix: str) -> bool:
    """Whether a rule may delete objects below ``prefix`` (one that only removes delete markers does not)."""
    where, expiration = _prefix_of(rule), rule.get("Expiration", {})
    touches = prefix.startswith(where) or where.startswith(prefix)
    return rule.get("Status") == "Enabled" and touches and bool({"Days", "Date"} & set(expiration))


def deletes_old_versions(rule: Rule, prefix: str) -> bool:
    """Whether a rule deletes every old version below ``prefix`` in the end, not only those with a tag or of a size."""
    expiration = rule.get("NoncurrentVersionExpiration", {})
    all_of_them = "NoncurrentDays" in expiration and not expiration.get("NewerNoncurrentVersions")
    everywhere = set(rule.get("Filter", {})) <= {"Prefix"} and prefix.startswith(_prefix_of(rule))
    return rule.get("Status") == "Enabled" and all_of_them and everywhere


def _repeats_anything(context: ProbeContext) -> bool:
    """Whether the store reports an algorithm that does not exist: then HEAD repeats the request and proves nothing."""
    return _applied(context, "sse-s3.txt", ServerSideEncryption=NO_SUCH_ALGORITHM) == NO_SUCH_ALGORITHM


def _unproven(context: ProbeContext) -> Finding:
    if context.location.encryption == "none":
        return passed(Text("This storage uses no encryption by the store."))
    return warned(
        Text("This store reports any algorithm as applied, even one that does not exist. That proves no encryption."),
        Text("Choose no encryption for this storage, or ask the provider how files are encrypted."),
    )


def _kms(context: ProbeContext) -> Finding:
    if _applied(context, "sse-kms.txt", **context.location.encryption_parameters) == "aws:kms":
        context.capabilities["encryption"].append("sse_kms")
        return passed(
            Text("Objects are encrypted with the key of the key service (SSE-KMS), as HEAD shows, and can be read.")
        )
    return warned(
        Text("This storage is set to SSE-KMS, but encryption with that key does not work."),
        Text("Check the key's ID and region, and allow kms:GenerateDataKey and kms:Decrypt on it, as in the policy."),
    )


def _applied(context: ProbeContext, name: str, **parameters: Any) -> str:
    """How an object that was stored so is encrypted; empty when it is not, or can't be read afterwards."""
    if not context.put(name, **parameters).ok or not context.get(name).ok:
        return ""
    return str(context.head(name).data.get("ServerSideEncryption", ""))


def _prefix_of(rule: Rule) -> str:
    # Three forms of the same, from three versions of the API.
    condition = rule.get("Filter", {})
    return str(rule.get("Prefix") or condition.get("Prefix") or condition.get("And", {}).get("Prefix") or "")


def _old_versions(context: ProbeContext, status: str) -> Finding:
    prefix = context.location.full_key("")
    answer = context.store.call("get_bucket_lifecycle_configuration")
    has_rule = any(deletes_old_versions(rule, prefix) for rule in answer.data.get("Rules", []))
    if has_rule and status == "Enabled":
        return passed(Text("The bucket keeps old versions, and a rule of it deletes them some time after a purge."))
    if has_rule:
        return passed(Text("The bucket has kept old versions, and a rule of it deletes them some time after a purge."))
    detail = Text("The bucket has kept old versions: what is purged stays there as one, and costs space.")
    if status == "Enabled":
        detail = Text("The bucket keeps old versions: what is purged stays there as one, and costs space.")
    if not answer.ok and not answer.missing:
        detail = Text.join(detail, Text("Whether a rule of the bucket deletes it could not be read."))
    return warned(
        detail,
        Text(
            "Let a lifecycle rule of the bucket delete noncurrent versions: this one, beside its others. Stowage "
            "deletes none by itself."
        ),
        json.dumps({"Rules": [versions_rule(prefix)]}, indent=2),
    )


def _can_delete_versions(context: ProbeContext) -> bool:
    stored = context.put("version.txt")
    version: Sequence[str] = stored.data.get("VersionId", "")
    key = context.full_key("version.txt")
    listed = context.store.call("list_object_versions", Prefix=key)
    return bool(version) and listed.ok and context.store.call("delete_object", Key=key, VersionId=version).ok
