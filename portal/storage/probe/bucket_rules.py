"""What becomes of objects by the bucket's own rules: encryption, lifecycle, versions. Read, never changed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from portal.storage.probe import messages
from portal.storage.probe.context import Trial
from portal.storage.probe.results import Finding, passed, skipped, warned

ABORT_DAYS = 7
VERSION_DAYS = 1  # the least that S3 knows
NO_SUCH_CIPHER = "STOWAGE-ASKS"

Rule = dict[str, Any]


def encryption(trial: Trial) -> Finding:
    """Is what was asked for really applied? A store's "yes" counts for nothing, what HEAD shows does."""
    wanted = trial.location.encryption
    if _repeats_anything(trial):
        return _unproved(trial)
    proved = _applied(trial, "sse-s3.txt", ServerSideEncryption="AES256") == "AES256"
    if proved:
        trial.can["encryption"].append("sse_s3")
    if wanted == "sse_kms":
        return _kms(trial)
    if wanted == "none":
        offer = " It can: choose SSE-S3 for this storage." if proved else ""
        return passed(f"Encryption by the store is not asked for.{offer}")
    if proved:
        return passed("Objects are encrypted by the store (SSE-S3), as HEAD shows.")
    return warned(
        "Encryption (SSE-S3) was asked for, and objects are not encrypted.",
        "Choose no encryption for this storage, or let the store's operator set up a key for it.",
    )


def _repeats_anything(trial: Trial) -> bool:
    """A store that shows an encryption that does not exist shows what it was told, and not what it did."""
    return _applied(trial, "sse-s3.txt", ServerSideEncryption=NO_SUCH_CIPHER) == NO_SUCH_CIPHER


def _unproved(trial: Trial) -> Finding:
    if trial.location.encryption == "none":
        return passed("Encryption by the store is not asked for.")
    return warned(
        "Encryption was asked for, and this store says yes to whatever it is asked: it proves nothing.",
        "Choose no encryption for this storage, or ask the provider how files are encrypted.",
    )


def _kms(trial: Trial) -> Finding:
    proved = _applied(trial, "sse-kms.txt", **trial.location.encryption_parameters) == "aws:kms"
    if proved:
        trial.can["encryption"].append("sse_kms")
        return passed(
            "Objects are encrypted with the key of the key service (SSE-KMS), as HEAD shows, and can be read."
        )
    return warned(
        "Encryption with a key of the key service (SSE-KMS) was asked for, and it does not work.",
        "Check the key's id and region, and allow kms:GenerateDataKey and kms:Decrypt on it, as in the policy.",
    )


def _applied(trial: Trial, name: str, **asked: Any) -> str:
    """How an object is encrypted that was stored so; empty when it is not, or can't be read afterwards."""
    if not trial.put(name, **asked).ok or not trial.get(name).ok:
        return ""
    return str(trial.head(name).data.get("ServerSideEncryption", ""))


def lifecycle(trial: Trial) -> Finding:
    """Rules that would remove files are told; the one that ends unfinished uploads is proposed, not written."""
    answer = trial.store.ask("get_bucket_lifecycle_configuration")
    if messages.is_unknown(answer) or (answer.ok and "Rules" not in answer.data):  # what was answered is something else
        return skipped("This store knows no lifecycle rules: none of them removes files, and none ends uploads.")
    if not answer.ok and not answer.missing:
        detail, _ = messages.why(answer, "read the bucket's lifecycle rules")
        return skipped(
            f"{detail} What its rules would remove is not known; the right s3:GetLifecycleConfiguration shows it."
        )
    rules: list[Rule] = answer.data.get("Rules", [])
    prefix = trial.location.full_key("")
    if removing := [str(rule.get("ID", "without a name"))[:60] for rule in rules if removes(rule, prefix)]:
        return warned(
            f"A lifecycle rule of this bucket removes files of Stowage ({', '.join(removing)}).",
            f"Limit the rule to other prefixes than {trial.place}. Stowage removes what is due by itself.",
        )
    trial.can["abort_rule"] = any(ends_uploads(rule, prefix) for rule in rules)
    if trial.can["abort_rule"]:
        return passed("No rule removes files, and one ends uploads that were never finished.")
    return warned(
        "No rule removes files. None ends uploads in parts that were never finished, either: their space is paid for.",
        "Add this rule to those that the bucket has. Stowage never writes them: that would replace them all.",
        json.dumps({"Rules": [abort_rule(prefix)]}, indent=2),
    )


def abort_rule(prefix: str) -> Rule:
    """The one rule that is worth having, limited to our prefix."""
    return {
        "ID": "stowage-unfinished-uploads",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABORT_DAYS},
    }


def ends_uploads(rule: Rule, prefix: str) -> bool:
    """Whether a rule ends unfinished uploads everywhere below ``prefix``."""
    where = _prefix_of(rule)
    return rule.get("Status") == "Enabled" and "AbortIncompleteMultipartUpload" in rule and prefix.startswith(where)


def removes(rule: Rule, prefix: str) -> bool:
    """Whether a rule may remove objects below ``prefix`` (what only clears up after deletions does not count)."""
    where, expiration = _prefix_of(rule), rule.get("Expiration", {})
    touches = prefix.startswith(where) or where.startswith(prefix)
    return rule.get("Status") == "Enabled" and touches and bool({"Days", "Date"} & set(expiration))


def _prefix_of(rule: Rule) -> str:
    condition = rule.get("Filter", {})
    return str(rule.get("Prefix") or condition.get("Prefix") or condition.get("And", {}).get("Prefix") or "")


def versioning(trial: Trial) -> Finding:
    """Does a purge free the space? Not where old versions are kept: it hides them, and a rule has to remove them."""
    answer = trial.store.ask("get_bucket_versioning")
    if messages.is_unknown(answer):
        return passed("This store keeps no old versions: what is purged is gone.")
    if not answer.ok:
        detail, _ = messages.why(answer, "read whether the bucket keeps versions")
        return skipped(f"{detail} If it does, what is purged stays there as an old version.")
    status = answer.data.get("Status")
    trial.can["versioning"] = status == "Enabled"
    if status not in ("Enabled", "Suspended"):
        return passed("The bucket keeps no old versions: what is purged is gone.")
    trial.can["delete_versions"] = trial.can["versioning"] and _can_remove_versions(trial)
    return _kept(trial, "keeps" if trial.can["versioning"] else "has kept")


def _kept(trial: Trial, keeps: str) -> Finding:
    prefix = trial.location.full_key("")
    answer = trial.store.ask("get_bucket_lifecycle_configuration")
    if any(forgets_versions(rule, prefix) for rule in answer.data.get("Rules", [])):
        return passed(f"The bucket {keeps} old versions, and a rule of it removes them some time after a purge.")
    unread = "" if answer.ok or answer.missing else " If a rule of the bucket removes it, that could not be read."
    return warned(
        f"The bucket {keeps} old versions: what is purged stays there as one, and is paid for.{unread}",
        "Let a lifecycle rule of the bucket remove noncurrent versions: this one, beside those that it has. "
        "Stowage removes none by itself.",
        json.dumps({"Rules": [versions_rule(prefix)]}, indent=2),
    )


def versions_rule(prefix: str) -> Rule:
    """What makes a purge final in a bucket that keeps versions, limited to our prefix."""
    return {
        "ID": "stowage-old-versions",
        "Status": "Enabled",
        "Filter": {"Prefix": prefix},
        "NoncurrentVersionExpiration": {"NoncurrentDays": VERSION_DAYS},
        "Expiration": {"ExpiredObjectDeleteMarker": True},
    }


def forgets_versions(rule: Rule, prefix: str) -> bool:
    """Whether a rule removes every old version below ``prefix`` in the end, not only those with a tag or of a size."""
    expiration = rule.get("NoncurrentVersionExpiration", {})
    all_of_them = "NoncurrentDays" in expiration and not expiration.get("NewerNoncurrentVersions")
    everywhere = set(rule.get("Filter", {})) <= {"Prefix"} and prefix.startswith(_prefix_of(rule))
    return rule.get("Status") == "Enabled" and all_of_them and everywhere


def _can_remove_versions(trial: Trial) -> bool:
    stored = trial.put("version.txt")
    version: Sequence[str] = stored.data.get("VersionId", "")
    name = trial.full("version.txt")
    listed = trial.store.ask("list_object_versions", Prefix=name)
    return bool(version) and listed.ok and trial.store.ask("delete_object", Key=name, VersionId=version).ok
