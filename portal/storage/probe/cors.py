"""May this portal's pages upload to the bucket? Tried as a browser does; the rule is added where that is allowed."""

from __future__ import annotations

import json
import time
from typing import Any

from portal.objectstore import cors
from portal.storage.probe import messages
from portal.storage.probe.browser import Browser, Reply
from portal.storage.probe.context import CONTENT, TEXT, ProbeContext
from portal.storage.probe.results import Finding, passed, warned
from portal.texts import Text

DELAYS = (0.0, 1.0, 2.0, 4.0)  # seconds before each try: a new rule takes a moment to apply everywhere
REQUESTED_HEADERS = "content-type,x-amz-checksum-sha256"
WANTED_HEADERS = {"etag", "location"}  # what a page would like to read of an answer
OBJECT = "cors.txt"
_SIGNED: dict[str, Any] = {"content_type": TEXT, "size": len(CONTENT), "expires_in": 300}


def allow_origin(context: ProbeContext) -> Finding:
    """A real preflight from this portal's origin; when it fails, our rule is added beside the others, and again."""
    origin = context.target.origin
    if _is_allowed(context) and _exposes_headers(context):
        return _pass(context, Text("Pages of %(origin)s may upload to this bucket.", origin=origin))
    known, stored = _add_rule(context)
    for seconds in DELAYS if stored else ():
        time.sleep(seconds)
        if _is_allowed(context) and _exposes_headers(context):
            return _pass(context, Text("A CORS rule for %(origin)s was added beside the others.", origin=origin))
    if _is_allowed(context):
        detail = Text(
            "Pages of %(origin)s may upload to this bucket. They can't read ETags, and need not.", origin=origin
        )
        return _pass(context, detail)
    refused = Text(
        "Browsers on pages of %(origin)s are not allowed to use this bucket: uploads by browser will fail.",
        origin=origin,
    )
    rule = json.dumps([_rule(context)], indent=2)
    if not known:
        return warned(
            Text.join(refused, Text("The store takes no CORS rules for a bucket.")),
            Text("Let the store's operator allow this in the store's own configuration, and test again."),
            rule,
        )
    return warned(refused, Text("Paste these CORS rules at the provider, beside the others, and test again."), rule)


def allows(browser: Browser, origin: str, method: str, url: str) -> bool:
    """Whether a preflight lets pages of ``origin`` send this (fetch.spec.whatwg.org, CORS-preflight fetch)."""
    request = {
        "Origin": origin,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": REQUESTED_HEADERS,
    }
    reply = browser.send("OPTIONS", url, headers=request)
    methods = _names(reply.headers.get("Access-Control-Allow-Methods", ""))
    headers = _names(reply.headers.get("Access-Control-Allow-Headers", ""))
    return (
        reply.ok
        and reply.headers.get("Access-Control-Allow-Origin") in ("*", origin)
        and bool({"*", method.lower()} & methods)
        and ("*" in headers or set(REQUESTED_HEADERS.split(",")) <= headers)
    )


def _pass(context: ProbeContext, detail: Text) -> Finding:
    context.capabilities["cors"] = True
    form = context.presigner.presign_post(context.key(OBJECT), **_SIGNED)
    if context.capabilities.get("post") and not allows(context.browser, context.target.origin, "POST", form.url):
        context.capabilities["post"] = False
        return passed(Text.join(detail, Text("Form uploads are not allowed, so uploads go by signed PUT.")))
    return passed(detail)


def _is_allowed(context: ProbeContext) -> bool:
    """Both of a page's questions: may it PUT here, and may it read the answer?"""
    origin = context.target.origin
    url = context.presigner.presign_put(context.key(OBJECT), **_SIGNED).url
    if not allows(context.browser, origin, "PUT", url):
        return False
    reply = _get(context)
    return reply.ok and reply.headers.get("Access-Control-Allow-Origin") in ("*", origin)


def _exposes_headers(context: ProbeContext) -> bool:
    exposed = _names(_get(context).headers.get("Access-Control-Expose-Headers", ""))
    return "*" in exposed or exposed >= WANTED_HEADERS


def _get(context: ProbeContext) -> Reply:
    context.put(OBJECT)
    url = context.presigner.presign_get(context.key(OBJECT), disposition="inline", expires_in=300)
    return context.browser.send("GET", url, headers={"Origin": context.target.origin})


def _add_rule(context: ProbeContext) -> tuple[bool, bool]:
    """Store our rule in front of the others; returns whether the store knows CORS rules, and whether it took ours.

    S3 replaces all rules at once. So rules that can't be read are not written over, and of those that can only our
    own earlier one is replaced.
    """
    present = context.store.call("get_bucket_cors")
    if not present.ok and not present.missing:
        return not messages.is_unsupported(present), False
    rule = _rule(context)
    others = [each for each in present.data.get("CORSRules", []) if each.get("ID") != rule["ID"]]
    stored = context.store.call("put_bucket_cors", CORSConfiguration={"CORSRules": [rule, *others]})
    known = (present.missing or "CORSRules" in present.data) and not messages.is_unsupported(stored)
    return known, stored.ok


def _rule(context: ProbeContext) -> dict[str, Any]:
    return cors.rule_for([context.target.origin], rule_id=f"{cors.RULE_ID}-{context.target.owner.workspace_id}")


def _names(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",") if word.strip()}
