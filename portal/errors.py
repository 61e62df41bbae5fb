"""The five kinds of refusal, each with a stable code, and the one table that maps them to HTTP.

A ``Problem`` carries a text for a person (``detail``) and facts for a program (``facts``), never a provider's text.
``detail`` is in the language of whoever reads it: ``gettext("…")`` where it is shown at once, a ``Text`` where it may
be written into a row (what the storage, the scanner or a mail server refused).
"""

from __future__ import annotations

from typing import Any

from portal.texts import Text


class Problem(Exception):
    """A refusal that a person can act on. ``code`` is one of the contract's codes, ``facts`` go beside it in JSON."""

    status = 500
    title = Text("Something went wrong")
    code = "internal"

    def __init__(self, detail: str | Text, *, code: str | None = None, **facts: Any) -> None:
        super().__init__(detail)
        self.text = detail if isinstance(detail, Text) else Text(detail)
        self.code = code or type(self).code
        self.facts = facts

    @property
    def detail(self) -> str:
        """What happened and what to do, for the person who reads it."""
        return str(self.text)

    @property
    def http_status(self) -> int:
        """The HTTP status (RFC 9110) for this code."""
        return STATUS_BY_CODE.get(self.code, self.status)


class NotFound(Problem):
    """It does not exist, or not for this person: the same answer, so that nobody learns which ids exist."""

    status, title, code = 404, Text("Not found"), "not_found"


class Forbidden(Problem):
    """The person may see it, but not do this with it."""

    status, title, code = 403, Text("Not allowed"), "forbidden"


class Conflict(Problem):
    """Its state does not allow this."""

    status, title, code = 409, Text("Conflict"), "conflict"


class Invalid(Problem):
    """The input can't be taken; ``field`` in the facts names which part."""

    status, title, code = 422, Text("Invalid input"), "invalid"


class Unavailable(Problem):
    """A part that this needs does not work now. The only kind that a job tries again, without burning an attempt."""

    status, title, code = 503, Text("Temporarily unavailable"), "unavailable"


STATUS_BY_CODE = {
    "bad_request": 400,
    "unauthenticated": 401,
    "file_too_large": 413,
    "quota_exceeded": 413,
    "unsupported_type": 415,
    "rate_limited": 429,
}
