"""How browsers may write: forms and signed PUTs, and whether the store holds them to what was signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from portal.objectstore.presign import SignedRequest
from portal.storage.probe.browser import Reply
from portal.storage.probe.context import CONTENT, TEXT, Trial
from portal.storage.probe.results import Finding, passed, skipped, warned

LIFE = 300  # seconds a signature lives
NO_SUCH_THING = (405, 501)
OTHER_KEY = "another key"


def post(trial: Trial) -> Finding:
    """A form is taken, and one that breaks its policy is not."""
    reply = trial.browser.upload(_form(trial, "form.txt"), CONTENT)
    if reply.status in NO_SUCH_THING:
        return skipped(f"This store takes no form uploads (it answers {reply.status}). Uploads go by signed PUT.")
    if not reply.ok or not trial.holds("form.txt", CONTENT):
        return warned(
            f"The store did not take a form upload ({_said(reply)}). Uploads go by signed PUT.",
            "Nothing to do. Some stores let only keys for the whole bucket use forms.",
        )
    loose = _what_gets_through(trial, _form, "form")
    trial.can["post"] = not loose
    if loose:
        return warned(
            f"The store takes forms that break what was signed: {', '.join(loose)}. Forms are not used here.",
            "Nothing to do while signed PUT works. The provider should mend it.",
        )
    return passed("Form uploads are taken, and those with another size, key or type, or after their time, are refused.")


def put(trial: Trial) -> Finding:
    """A signed PUT is taken, and one with another length, type or key, or too late, is not."""
    reply = trial.browser.upload(_put(trial, "put.txt"), CONTENT)
    if not reply.ok or not trial.holds("put.txt", CONTENT):
        return warned(
            f"The store did not take a signed PUT ({_said(reply)}).",
            "Look for a proxy between browsers and the store that changes the Host header or drops query parameters.",
        )
    loose = _what_gets_through(trial, _put, "put")
    # What else arrives at the signed key is found out before anybody may read it, and removed. Another key is another
    # matter; unless anybody may write there without any signature, of which people are warned as what it is.
    trial.can["put"] = OTHER_KEY not in loose or trial.takes_from_anybody
    if loose:
        return warned(
            f"The store takes signed PUTs that break what was signed: {', '.join(loose)}.",
            "Uploads work: Stowage reads every file before anybody else may. The provider should mend it."
            if trial.can["put"]
            else "A browser could replace files that it was not given. The provider should mend it.",
        )
    return passed("Signed uploads are taken, and those with another length, type or key, or after their time, are not.")


def sha256(trial: Trial) -> Finding:
    """Other content than the checksum promises must be refused by the store itself."""
    ways = [sign for name, sign in (("post", _form), ("put", _put)) if trial.can.get(name)]
    if not ways:
        return skipped("There is no way of uploading that could be asked.")
    digest = hashlib.sha256(CONTENT).hexdigest()
    checked = True
    for number, sign in enumerate(ways):
        name = f"checked-{number}.txt"
        taken = trial.browser.upload(sign(trial, name, sha256=digest), CONTENT)
        wrong = trial.browser.upload(sign(trial, f"wrong-{name}", sha256=digest), CONTENT.upper())
        checked = checked and not wrong.ok and not trial.get(f"wrong-{name}").ok
        if not taken.ok:
            return warned(
                "The store refuses uploads that carry a SHA-256.",
                "Nothing to do: uploads go without it, and Stowage reads every file and compares.",
            )
    trial.can["sha256"] = checked
    if checked:
        return passed("The store itself refuses content that does not fit its SHA-256.")
    return warned(
        "The store does not check the SHA-256 of what it is sent.",
        "Nothing to do: Stowage reads every file and compares, only later.",
    )


def _what_gets_through(trial: Trial, sign: Callable[..., SignedRequest], name: str) -> list[str]:
    """The breaches that the store did not refuse, in words; each is tried at a key of its own."""
    past = datetime.now(UTC) - timedelta(seconds=LIFE * 3)
    tries: dict[str, tuple[SignedRequest, bytes]] = {
        "a larger size": (sign(trial, f"{name}-larger.txt"), CONTENT + b"more"),
        OTHER_KEY: (_other_key(sign(trial, f"{name}-signed.txt"), f"{name}-other.txt"), CONTENT),
        "another type": (_other_type(sign(trial, f"{name}-type.txt")), CONTENT),
        "after its time": (sign(trial, f"{name}-late.txt", now=past), CONTENT),
    }
    keys = {OTHER_KEY: f"{name}-other.txt", "a larger size": f"{name}-larger.txt"}
    keys |= {"another type": f"{name}-type.txt", "after its time": f"{name}-late.txt"}
    return [
        words
        for words, (request, content) in tries.items()
        if trial.browser.upload(request, content).ok or trial.get(keys[words]).ok
    ]


def _form(trial: Trial, name: str, **options: Any) -> SignedRequest:
    return trial.signer.presign_post(trial.key(name), content_type=TEXT, size=len(CONTENT), expires_in=LIFE, **options)


def _put(trial: Trial, name: str, **options: Any) -> SignedRequest:
    return trial.signer.presign_put(trial.key(name), content_type=TEXT, size=len(CONTENT), expires_in=LIFE, **options)


def _other_key(request: SignedRequest, name: str) -> SignedRequest:
    if request.method == "PUT":
        before, _, query = request.url.partition("?")
        return replace(request, url=f"{before.rpartition('/')[0]}/{name}?{query}")
    return replace(request, fields=request.fields | {"key": f"{request.fields['key'].rpartition('/')[0]}/{name}"})


def _other_type(request: SignedRequest) -> SignedRequest:
    other = {"Content-Type": "text/html"}
    return replace(
        request,
        fields=request.fields | other if request.fields else {},
        headers=request.headers | other if request.headers else {},
    )


def _said(reply: Reply) -> str:
    return f"it answers {reply.status}" if reply.status else "it does not answer"
