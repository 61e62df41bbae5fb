"""The CORS rule that lets the portal's pages upload to a bucket and read from it. Pure: rules in, rules out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

RULE_ID = "stowage"
METHODS = ["GET", "HEAD", "POST", "PUT"]
EXPOSED_HEADERS = ["ETag", "Location", "x-amz-checksum-sha256", "x-amz-checksum-crc32"]
MAX_AGE = 3600  # seconds that a browser may cache a preflight

Rule = dict[str, Any]


def merged(rules: Sequence[Rule], origins: Sequence[str]) -> list[Rule] | None:
    """``rules`` with ours for ``origins`` added or replaced; None when they allow everything already.

    S3 replaces all rules of a bucket at once, so other people's are kept.
    """
    if any(_allows(rule, origins) for rule in rules):
        return None
    return [rule_for(origins), *(rule for rule in rules if rule.get("ID") != RULE_ID)]


def rule_for(origins: Sequence[str], *, rule_id: str = RULE_ID) -> Rule:
    """The rule for pages of ``origins``, in boto3's form."""
    return {
        "ID": rule_id,
        "AllowedOrigins": list(origins),
        "AllowedMethods": METHODS,
        "AllowedHeaders": ["*"],
        "ExposeHeaders": EXPOSED_HEADERS,
        "MaxAgeSeconds": MAX_AGE,
    }


def _allows(rule: Rule, origins: Sequence[str]) -> bool:
    allowed = set(rule.get("AllowedOrigins", ()))
    exposed = {name.lower() for name in rule.get("ExposeHeaders", ())}
    return (
        ("*" in allowed or allowed.issuperset(origins))
        and set(METHODS) <= set(rule.get("AllowedMethods", ()))
        and "*" in rule.get("AllowedHeaders", ())
        and {name.lower() for name in EXPOSED_HEADERS} <= exposed
    )
