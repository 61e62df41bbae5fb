"""The CORS rule that lets the portal's pages talk to a bucket. Pure: rules in, rules out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

OURS = "stowage"
METHODS = ["GET", "HEAD", "POST", "PUT"]
EXPOSED = ["ETag", "Location", "x-amz-checksum-sha256", "x-amz-checksum-crc32"]
MAX_AGE = 3600  # seconds that a browser may remember a preflight

Rule = dict[str, Any]


def with_ours(rules: Sequence[Rule], origins: Sequence[str]) -> list[Rule] | None:
    """The rules to store so that pages of ``origins`` can upload, other people's kept; None when nothing is missing."""
    if any(_allows(rule, origins) for rule in rules):
        return None
    return [rule_for(origins), *(rule for rule in rules if rule.get("ID") != OURS)]


def rule_for(origins: Sequence[str], *, name: str = OURS) -> Rule:
    """The rule for pages of ``origins``; one of the same ``name`` is replaced by it."""
    return {
        "ID": name,
        "AllowedOrigins": list(origins),
        "AllowedMethods": METHODS,
        "AllowedHeaders": ["*"],
        "ExposeHeaders": EXPOSED,
        "MaxAgeSeconds": MAX_AGE,
    }


def _allows(rule: Rule, origins: Sequence[str]) -> bool:
    allowed = set(rule.get("AllowedOrigins", ()))
    exposed = {name.lower() for name in rule.get("ExposeHeaders", ())}
    return (
        ("*" in allowed or allowed.issuperset(origins))
        and set(METHODS) <= set(rule.get("AllowedMethods", ()))
        and "*" in rule.get("AllowedHeaders", ())
        and {name.lower() for name in EXPOSED} <= exposed
    )
