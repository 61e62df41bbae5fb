"""How browsers may write: forms and signed PUTs, and whether the store enforces what was signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.objectstore.presign import SignedRequest
from portal.storage.probe.browser import Reply
from portal.storage.probe.context import CONTENT, TEXT, ProbeContext
from portal.storage.probe.results import Finding, passed, skipped, warned
from portal.texts import Text

EXPIRES_IN = 300  # seconds
UNSUPPORTED = (405, 501)
FORM_FIELD = "form-field.txt"
PROVIDER_SHOULD_FIX = Text("The provider should fix this.")
OTHER_KEY = Text("another key")


def post(context: ProbeContext) -> Finding:
    """A form is accepted, and one that breaks its policy is not."""
    reply = context.browser.upload(_form(context, "form.txt"), CONTENT)
    if reply.status in UNSUPPORTED:
        return skipped(
            Text(
                "This store takes no form uploads (it answers %(status)s). Uploads go by signed PUT.",
                status=reply.status,
            )
        )
    if not reply.ok or not context.has("form.txt", CONTENT):
        return warned(
            Text.join(Text("The store did not accept a form upload."), _status(reply)),
            Text("Nothing to do: uploads go by signed PUT. Some stores allow forms only to keys for the whole bucket."),
        )
    accepted = _accepted_breaches(context, _form, "form")
    if _accepts_unsigned_field(context):
        # S3 refuses a form with a field that its policy does not name ("Extra input fields"): else whoever has the
        # form could add metadata, an ACL or a redirect to what is stored.
        accepted.append(Text("a field that was not signed"))
    context.capabilities["post"] = not accepted
    if accepted:
        return warned(
            Text(
                "The store accepts forms that break what was signed: %(breaches)s.",
                breaches=Text.join(*accepted, separator=", "),
            ),
            Text.join(Text("Nothing to do: uploads go by signed PUT."), PROVIDER_SHOULD_FIX),
        )
    return passed(
        Text(
            "Form uploads are accepted, and refused with another size, key, type or field, or after they have expired."
        )
    )


def put(context: ProbeContext) -> Finding:
    """A signed PUT is accepted, and one with another length, type or key, or too late, is not."""
    reply = context.browser.upload(_put(context, "put.txt"), CONTENT)
    if not reply.ok or not context.has("put.txt", CONTENT):
        return warned(
            Text.join(Text("The store did not accept a signed PUT."), _status(reply)),
            Text("Look for a proxy before the store that changes the Host header or drops query parameters."),
        )
    accepted = _accepted_breaches(context, _put, "put")
    # What else arrives at the signed key is found before anybody may read it, and deleted. Another key is another
    # matter; unless anybody may write there without a signature, of which the step "private" warns.
    context.capabilities["put"] = OTHER_KEY not in accepted or context.is_public_for_writing
    if accepted:
        consequence = Text("A browser could replace files that it was not given.")
        if context.capabilities["put"]:
            consequence = Text("Uploads work: Stowage reads every file before anybody else may.")
        return warned(
            Text(
                "The store accepts signed PUTs that break what was signed: %(breaches)s.",
                breaches=Text.join(*accepted, separator=", "),
            ),
            Text.join(consequence, PROVIDER_SHOULD_FIX),
        )
    return passed(
        Text("Signed uploads are accepted, and refused with another length, type or key, or after they have expired.")
    )


def sha256(context: ProbeContext) -> Finding:
    """Other content than the checksum promises must be refused by the store itself."""
    ways = [sign for name, sign in (("post", _form), ("put", _put)) if context.capabilities.get(name)]
    if not ways:
        return skipped(Text("There is no way of uploading that could be tested."))
    digest = hashlib.sha256(CONTENT).hexdigest()
    checked = True
    for number, sign in enumerate(ways):
        name = f"checked-{number}.txt"
        right = context.browser.upload(sign(context, name, sha256=digest), CONTENT)
        wrong = context.browser.upload(sign(context, f"wrong-{name}", sha256=digest), CONTENT.upper())
        checked = checked and not wrong.ok and not context.get(f"wrong-{name}").ok
        if not right.ok:
            return warned(
                Text("The store refuses uploads with a SHA-256."),
                Text("Nothing to do: uploads go without it, and Stowage reads every file and compares."),
            )
    context.capabilities["sha256"] = checked
    if checked:
        return passed(Text("The store itself refuses content that does not match its SHA-256."))
    return warned(
        Text("The store does not check the SHA-256 of what it is sent."),
        Text("Nothing to do: Stowage reads every file and compares, only later."),
    )


def _accepted_breaches(context: ProbeContext, sign: Callable[..., SignedRequest], name: str) -> list[Text]:
    """The breaches that the store did not refuse; each is tried at a key of its own."""
    expired = datetime.now(UTC) - timedelta(seconds=EXPIRES_IN * 3)
    larger, other, kind, late = (f"{name}-{what}.txt" for what in ("larger", "other", "type", "late"))
    other_key = _with_other_key(sign(context, f"{name}-signed.txt"), other)
    tries: tuple[tuple[Text, SignedRequest, bytes, str], ...] = (
        (Text("a larger size"), sign(context, larger), CONTENT + b"more", larger),
        (OTHER_KEY, other_key, CONTENT, other),
        (Text("another type"), _with_other_type(sign(context, kind)), CONTENT, kind),
        (Text("after it has expired"), sign(context, late, now=expired), CONTENT, late),
    )
    # The status alone is no proof: some stores answer with an error, and have stored the object.
    return [
        text
        for text, request, content, arrives_at in tries
        if context.browser.upload(request, content).ok or context.get(arrives_at).ok
    ]


def _accepts_unsigned_field(context: ProbeContext) -> bool:
    form = _form(context, FORM_FIELD)
    form = replace(form, fields={**form.fields, "x-amz-meta-unsigned": "1"})
    return context.browser.upload(form, CONTENT).ok or context.get(FORM_FIELD).ok


def _form(context: ProbeContext, name: str, **options: Any) -> SignedRequest:
    return context.presigner.presign_post(
        context.key(name), content_type=TEXT, size=len(CONTENT), expires_in=EXPIRES_IN, **options
    )


def _put(context: ProbeContext, name: str, **options: Any) -> SignedRequest:
    return context.presigner.presign_put(
        context.key(name), content_type=TEXT, size=len(CONTENT), expires_in=EXPIRES_IN, **options
    )


def _with_other_key(request: SignedRequest, name: str) -> SignedRequest:
    if request.method == "PUT":
        path, _, query = request.url.partition("?")
        return replace(request, url=f"{path.rpartition('/')[0]}/{name}?{query}")
    return replace(request, fields=request.fields | {"key": f"{request.fields['key'].rpartition('/')[0]}/{name}"})


def _with_other_type(request: SignedRequest) -> SignedRequest:
    other = {"Content-Type": "text/html"}
    return replace(
        request,
        fields=request.fields | other if request.fields else {},
        headers=request.headers | other if request.headers else {},
    )


def _status(reply: Reply) -> Text:
    return Text("It answers %(status)s.", status=reply.status) if reply.status else Text("It does not answer.")
