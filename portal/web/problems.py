"""Every refusal and every failure becomes an answer here: problem+json (RFC 9457) for programs, a page for people.

Unexpected errors are logged with the request's id and shown as nothing but that id.
"""

from __future__ import annotations

import json
import logging
from typing import Any, cast
from urllib.parse import urlsplit

from flask import Flask, Response, g, render_template, url_for
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from flask_login import AnonymousUserMixin
from htmx_flask import make_response, request
from jinja2 import Template
from pydantic import ConfigDict
from sqlalchemy.exc import DataError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from portal.errors import Invalid, NotFound, Problem, Unavailable
from portal.texts import Text
from portal.web.body import Answer
from portal.web.logs import logged_path, request_id

log = logging.getLogger(__name__)

MOST_FIELDS = 10_000
API_PREFIXES = ("/v1/", "/tus")
TITLES = {
    "unauthenticated": _l("Not signed in"),
    "proof_required": _l("Your password is needed"),
    "insufficient_scope": _l("The token lacks a scope"),
    "token_limited": _l("The token is limited to some workspaces"),
    "csrf": _l("The form has expired"),
    "file_too_large": _l("The file is too large"),
    "quota_exceeded": _l("Not enough space"),
    "unsupported_type": _l("This type is not allowed"),
    "rate_limited": _l("Too many attempts"),
    "storage_unavailable": _l("The storage does not answer"),
}
# Errors of the framework: code and text.
BY_STATUS = {
    400: ("invalid", Text("The request can't be read.")),
    404: ("not_found", Text("There is nothing at this address.")),
    405: ("method_not_allowed", Text("This address does not accept this method.")),
    413: ("too_large", Text("The request is too large.")),
    415: ("unsupported_type", Text("Send JSON, with Content-Type: application/json.")),
}


class ProblemView(Answer):
    """A refusal, as RFC 9457 writes it. Further facts stand beside these, by code."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    code: str


def problem_facts(problem: Problem) -> dict[str, Any]:
    """The members of a problem+json document."""
    title = str(TITLES.get(problem.code, problem.title))
    head = {"type": "about:blank", "title": title, "status": problem.http_status}
    return {**head, "detail": problem.detail, "code": problem.code, **problem.facts}


def speaks_json() -> bool:
    """Does the address belong to the API?"""
    return bool(request.path.startswith(API_PREFIXES) or request.path == "/v1")


def install(app: Flask) -> None:
    """Answer every error of this application."""
    app.before_request(_refuse_nul)
    app.before_request(_refuse_many_fields)
    app.register_error_handler(Problem, answer_problem)
    app.register_error_handler(HTTPException, _answer_http)
    for lost in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(lost, _answer_lost)
    app.register_error_handler(DataError, _answer_unstorable)
    app.register_error_handler(Exception, _answer_unexpected)


def answer_problem(problem: Problem) -> Response:
    """A refusal as an answer; someone who must sign in first is led to the form."""
    if problem.code == "unauthenticated" and not speaks_json():
        return _to_login()
    response = _answer(problem, problem.http_status)
    if problem.code == "unauthenticated":
        response.headers["WWW-Authenticate"] = "Bearer"
    if problem.code == "insufficient_scope":  # RFC 6750, 3
        response.headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{problem.facts["scope"]}"'
    if "retry_after" in problem.facts:
        response.headers["Retry-After"] = str(problem.facts["retry_after"])
    return response


def _answer_http(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:
        return cast("Response", error.get_response())
    other = "invalid" if error.code < 500 else "internal", Text("This did not work.")
    code, detail = BY_STATUS.get(error.code, other)
    problem = Problem(detail, code=code)
    problem.title = Text(error.name.capitalize())  # of the HTTP status, as RFC 9110 names it
    response = _answer(problem, error.code)
    for name, value in error.get_headers(request.environ):
        if name.lower() in ("allow", "retry-after"):
            response.headers[name] = value
    return response


def _answer_lost(error: Exception) -> Response:
    log.error("the database does not answer: %s", type(error).__name__, exc_info=error)
    return answer_problem(Unavailable(Text("The database does not answer. Try again in a moment."), retry_after=5))


def _answer_unstorable(error: Exception) -> Response:
    log.error("the database can't store what %s %s sent", request.method, logged_path(), exc_info=error)
    return answer_problem(
        Invalid(_("Something in this request can't be stored: it is too long, too large, or not text."))
    )


def _answer_unexpected(error: Exception) -> Response:
    log.error("unexpected error in %s %s", request.method, logged_path(), exc_info=error)
    detail = Text("Something went wrong on our side and was logged. Quote this code: %(code)s.", code=request_id())
    return _answer(Problem(detail, request_id=request_id()), 500)


def _answer(problem: Problem, status: int) -> Response:
    """A page for browsers. Scripts that request a fragment get JSON like programs: they show its ``detail``."""
    if status >= 500:
        # The language of the answer, and the frame of its page, depend on the person. To find them would ask the
        # database again, which may be what fails.
        g._login_user = AnonymousUserMixin()
    part_of_page = request.htmx and request.htmx.target not in (None, "main")
    if not speaks_json() and not part_of_page:
        return Response(_page(problem, status), status)
    facts = {**problem_facts(problem), "status": status}
    return Response(json.dumps(facts, default=str), status, mimetype="application/problem+json")


def _page(problem: Problem, status: int) -> str:
    own_words = None if type(problem) is Problem else problem.detail  # the template has words for the framework's
    templates: list[str | Template] = [f"errors/{status}.html", f"errors/{400 if status < 500 else 500}.html"]
    try:
        return render_template(templates, status=status, detail=own_words, reference=request_id())
    except Exception:  # the page itself must not fail: what it shows may be what broke
        log.exception("the error page could not be rendered")
        return f"{status}: {problem.detail} ({request_id()})"


def _to_login() -> Response:
    """To the form and back. htmx gets a header instead: it would put the form into the page."""
    if request.htmx:
        here = urlsplit(request.htmx.current_url or "")
        address = _login_address(f"{here.path}?{here.query}" if here.query else here.path)
        answer: Response = make_response("", 401, redirect=address)
        return answer
    place = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else ""
    return Response(status=302, headers={"Location": _login_address(place)})


def _login_address(back_to: str) -> str:
    return url_for("security.login", next=back_to if back_to not in ("", "/") else None)


def _refuse_many_fields() -> None:
    """A form has a few dozen fields, and at most some thousand ids of files; each costs time to take apart.

    werkzeug bounds the parts of a multipart form (``MAX_FORM_PARTS``) and the bytes of this one, not its fields.
    """
    if request.mimetype == "application/x-www-form-urlencoded" and request.get_data().count(b"&") >= MOST_FIELDS:
        raise RequestEntityTooLarge


def _refuse_nul() -> None:
    """A NUL character can't be in any address or query of ours, and Postgres refuses it."""
    if "\0" in request.path:
        raise NotFound(_("There is nothing at this address."))
    if "%00" in request.query_string.decode("latin-1"):
        raise Invalid(_("The address contains the character U+0000."), field="query")
