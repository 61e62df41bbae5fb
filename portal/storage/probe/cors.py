"""May this portal's pages talk to the bucket? Asked as a browser asks; the rule is added where that is allowed."""

from __future__ import annotations

import json
import time
from typing import Any

from portal.objectstore import cors
from portal.storage.probe import messages
from portal.storage.probe.browser import Browser, Reply
from portal.storage.probe.context import CONTENT, TEXT, Trial
from portal.storage.probe.results import Finding, passed, warned

PATIENCE = (0.0, 1.0, 2.0, 4.0)  # seconds before each look: a new rule takes a moment to hold everywhere
ASKED_HEADERS = "content-type,x-amz-checksum-sha256"
NEEDED = {"etag", "location"}  # what a page would like to read of an answer
OBJECT = "crossing.txt"
_SIGNED: dict[str, Any] = {"content_type": TEXT, "size": len(CONTENT), "expires_in": 300}


def allow_origin(trial: Trial) -> Finding:
    """A real preflight from this portal's origin; when it fails, our rule beside those that are there, and again."""
    origin = trial.subject.origin
    if _allowed(trial) and _exposes(trial):
        return _told(trial, f"Pages of {origin} may upload to this bucket.")
    known, mended = _add_rule(trial)
    for seconds in PATIENCE if mended else ():
        time.sleep(seconds)
        if _allowed(trial) and _exposes(trial):
            return _told(trial, f"A CORS rule for {origin} was added, beside those that were there.")
    if _allowed(trial):
        return _told(trial, f"Pages of {origin} may upload to this bucket. They can't read ETags, and need not.")
    lost = f"Browsers on pages of {origin} are not let through to this bucket: uploads by browser will fail."
    rule = json.dumps([_rule(trial)], indent=2)
    if not known:
        return warned(
            f"{lost} The store takes no CORS rules for a bucket.",
            "Let the store's operator allow this in its own configuration, and test again.",
            rule,
        )
    return warned(lost, "Paste these CORS rules at the provider, beside those that are there, and test again.", rule)


def _told(trial: Trial, detail: str) -> Finding:
    trial.can["cors"] = True
    if trial.can.get("post") and not passes(trial.browser, trial.subject.origin, "POST", _form(trial)):
        trial.can["post"] = False
        return passed(f"{detail} Form uploads are not let through, so uploads go by signed PUT.")
    return passed(detail)


def _allowed(trial: Trial) -> bool:
    """Both a page's questions: may I PUT here, and may I see that it was answered?"""
    url = trial.signer.presign_put(trial.key(OBJECT), **_SIGNED).url
    return passes(trial.browser, trial.subject.origin, "PUT", url) and _names_us(trial, _answer(trial))


def passes(browser: Browser, origin: str, method: str, url: str) -> bool:
    """Does a preflight let pages of ``origin`` send this?"""
    asked = {"Access-Control-Request-Method": method, "Access-Control-Request-Headers": ASKED_HEADERS}
    reply = browser.send("OPTIONS", url, headers={"Origin": origin, **asked})
    headers = reply.headers
    methods = _names(headers.get("Access-Control-Allow-Methods", ""))
    allowed = _names(headers.get("Access-Control-Allow-Headers", ""))
    return (
        reply.ok
        and headers.get("Access-Control-Allow-Origin") in ("*", origin)
        and bool({"*", method.lower()} & methods)
        and ("*" in allowed or set(ASKED_HEADERS.split(",")) <= allowed)
    )


def _answer(trial: Trial) -> Reply:
    trial.put(OBJECT)
    url = trial.signer.presign_get(trial.key(OBJECT), disposition="inline", expires_in=300)
    return trial.browser.send("GET", url, headers={"Origin": trial.subject.origin})


def _names_us(trial: Trial, reply: Reply) -> bool:
    return reply.ok and reply.headers.get("Access-Control-Allow-Origin") in ("*", trial.subject.origin)


def _exposes(trial: Trial) -> bool:
    exposed = _names(_answer(trial).headers.get("Access-Control-Expose-Headers", ""))
    return "*" in exposed or exposed >= NEEDED


def _add_rule(trial: Trial) -> tuple[bool, bool]:
    """Our rule in front of the others; whether the store knows rules, and took ours.

    Nobody's rule is replaced but our own of before.
    """
    present = trial.store.ask("get_bucket_cors")
    if not present.ok and not present.missing:
        return not messages.is_unknown(present), False  # what can't be read must not be written over
    rule = _rule(trial)
    others = [each for each in present.data.get("CORSRules", []) if each.get("ID") != rule["ID"]]
    stored = trial.store.ask("put_bucket_cors", CORSConfiguration={"CORSRules": [rule, *others]})
    known = (present.missing or "CORSRules" in present.data) and not messages.is_unknown(stored)
    return known, stored.ok


def _rule(trial: Trial) -> dict[str, Any]:
    return cors.rule_for([trial.subject.origin], rule_id=f"{cors.RULE_ID}-{trial.subject.owner.workspace_id}")


def _form(trial: Trial) -> str:
    return trial.signer.presign_post(trial.key(OBJECT), **_SIGNED).url


def _names(header: str) -> set[str]:
    return {word.strip().lower() for word in header.split(",") if word.strip()}
