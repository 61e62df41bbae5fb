"""JSON operations and the OpenAPI 3.1 document made from them.

One decorator reads, writes and documents, so that document and code can't differ::

    @blueprint.post("/v1/workspaces/<uuid:w>/uploads")
    @member(Permission.UPLOAD)                       # the mark consumes ``w`` and gives ``member``
    @operation(body=BeginUpload, returns=UploadView, status=201)
    def begin(member: Member, body: BeginUpload) -> UploadView:
        \"\"\"Open an upload session.

        What follows the first line becomes the description.
        \"\"\"
        return UploadView.of(service.begin(member, body))

- ``body``: a ``Body`` model; parsed after the access check and passed as keyword ``body``.
- ``query``: a ``Query`` model; passed as keyword ``query``.
- ``paged=True``: passes keyword ``paging`` (``portal.web.paging.Paging``) and documents ``limit`` and ``cursor``.
- ``returns``: an ``Answer`` model (``Listing[ItemView]`` for lists), or None for 204 or a redirect.
- ``status``: of the normal answer (200; 204 when ``returns`` is None).
- ``headers``: names of request headers that the operation understands, with their meaning.
- ``errors``: further codes of the contract that this operation answers, e.g. ``("quota_exceeded",)``.

The view returns the model; ``None`` becomes an empty 204; a ``Response`` (a redirect, another status by
``answer(model, 200)``) passes as it is. Every ``/v1`` route must carry an operation: a test walks them all.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import wraps
from http import HTTPStatus
from inspect import getdoc
from typing import Any, TypeVar

from flask import Blueprint, Flask, Response, current_app, jsonify
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from werkzeug.routing import Rule

from portal import __version__
from portal.web.access import mark_of, public
from portal.web.body import answer, read_body, read_query
from portal.web.paging import DEFAULT, LARGEST, read_paging
from portal.web.problems import ProblemView

V = TypeVar("V", bound=Callable[..., Any])
REF = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Operation:
    """What ``operation`` was given."""

    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    returns: type[BaseModel] | None = None
    status: int = 200
    paged: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


def operation(
    *,
    body: type[BaseModel] | None = None,
    query: type[BaseModel] | None = None,
    returns: type[BaseModel] | None = None,
    status: int | None = None,
    paged: bool = False,
    headers: Mapping[str, str] | None = None,
    errors: tuple[str, ...] = (),
) -> Callable[[V], V]:
    """A JSON operation; see the module's text for the parts."""
    declared = Operation(body, query, returns, status or (200 if returns else 204), paged, headers or {}, errors)

    def decorate(view: V) -> V:
        @wraps(view)
        def run(**arguments: Any) -> Response:
            if body is not None:
                arguments["body"] = read_body(body)
            if query is not None:
                arguments["query"] = read_query(query)
            if paged:
                arguments["paging"] = read_paging()
            result = view(**arguments)
            if result is None:
                return Response(status=declared.status, mimetype="application/json")
            return answer(result, declared.status) if isinstance(result, BaseModel) else result

        run.operation = declared  # type: ignore[attr-defined]
        return run  # type: ignore[return-value]

    return decorate


blueprint = Blueprint("openapi", __name__)
SECURITY = {
    "token": {"type": "http", "scheme": "bearer", "description": "An API token: acts for its owner."},
    "session": {"type": "apiKey", "in": "cookie", "name": "stowage_session"},
    "csrf": {"type": "apiKey", "in": "header", "name": "X-CSRFToken", "description": "With the session cookie."},
}
PAGING: dict[str, dict[str, Any]] = {
    "limit": {"type": "integer", "minimum": 1, "maximum": LARGEST, "default": DEFAULT},
    "cursor": {"type": "string", "description": "The ``next_cursor`` of the page before."},
}
LIMIT_HEADERS: dict[str, dict[str, Any]] = {
    "RateLimit-Policy": {"description": "How many requests in how many seconds.", "schema": {"type": "string"}},
    "RateLimit": {
        "description": "How many are left (draft-ietf-httpapi-ratelimit-headers-10).",
        "schema": {"type": "string"},
    },
}
LICENSE = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
Schema = dict[str, Any]


@blueprint.get("/v1/openapi.json")
@public
def document() -> Response:
    """This document."""
    return jsonify(describe(current_app))


def describe(app: Flask) -> Schema:
    """The OpenAPI 3.1 document of every operation of the application."""
    views = ((rule, app.view_functions[rule.endpoint]) for rule in app.url_map.iter_rules())
    found: list[tuple[Rule, Any]] = [(rule, view) for rule, view in views if hasattr(view, "operation")]
    refs, definitions = _schemas([view.operation for _, view in found])
    paths: dict[str, Schema] = {}
    for rule, view in sorted(found, key=lambda pair: pair[0].rule):
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
            paths.setdefault(path, {})[method.lower()] = _describe(rule, view, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Stowage", "version": __version__, "license": LICENSE},
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {"session": [], "csrf": []}],
        "paths": paths,
        "components": {"schemas": definitions, "securitySchemes": SECURITY},
    }


def _schemas(operations: list[Operation]) -> tuple[Mapping[Any, Schema], Schema]:
    """A reference for every model that is read or written, and what they refer to."""
    read = {model for each in operations for model in (each.body,) if model is not None}
    written = {model for each in operations for model in (each.returns,) if model is not None} | {ProblemView}
    models: list[Any] = [(model, "validation") for model in sorted(read, key=str)]
    models += [(model, "serialization") for model in sorted(written, key=str)]
    refs, whole = models_json_schema(models, ref_template=REF)
    return refs, whole.get("$defs", {})


def _describe(rule: Rule, view: Any, refs: Mapping[Any, Schema]) -> Schema:
    declared: Operation = view.operation
    summary, _, description = (getdoc(view) or "").partition("\n")
    mark = mark_of(view)
    described: Schema = {
        "operationId": rule.endpoint.replace("_api.", "."),
        "tags": [rule.endpoint.partition(".")[0].removesuffix("_api")],
        "summary": summary,
        "parameters": [*_path_parameters(rule), *_query_parameters(declared), *_header_parameters(declared)],
        "responses": _responses(declared, refs),
    }
    if description.strip():
        described["description"] = description.strip()
    if mark is not None and mark.kind == "public":
        described["security"] = []
    else:  # only who is known is counted (portal.web.rate_limits)
        described["responses"][str(declared.status)]["headers"] = LIMIT_HEADERS
    if declared.body is not None:
        schema = refs[(declared.body, "validation")]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return described


def _responses(declared: Operation, refs: Mapping[Any, Schema]) -> Schema:
    normal: Schema = {"description": HTTPStatus(declared.status).phrase}
    if declared.returns is not None:
        normal["content"] = {"application/json": {"schema": refs[(declared.returns, "serialization")]}}
    problem = {"application/problem+json": {"schema": refs[(ProblemView, "serialization")]}}
    responses: Schema = {str(declared.status): normal}
    codes = f" Codes of its own: {', '.join(declared.errors)}." if declared.errors else ""
    responses["default"] = {"description": f"A refusal.{codes}", "content": problem}
    return responses


def _path_parameters(rule: Rule) -> list[Schema]:
    formats = {name: kind for kind, name in re.findall(r"<(\w+):(\w+)>", rule.rule)}
    return [
        {"name": name, "in": "path", "required": True, "schema": _path_schema(formats.get(name, "string"))}
        for name in sorted(rule.arguments)
    ]


def _path_schema(converter: str) -> Schema:
    if converter == "uuid":
        return {"type": "string", "format": "uuid"}
    return {"type": "integer" if converter == "int" else "string"}


def _query_parameters(declared: Operation) -> list[Schema]:
    schemas: dict[str, Schema] = {}
    if declared.query is not None:
        # Enumerations and the like are written out in place: a parameter's schema can't carry definitions.
        whole = declared.query.model_json_schema(mode="validation")
        definitions = whole.get("$defs", {})
        schemas = {name: _inline(schema, definitions) for name, schema in whole.get("properties", {}).items()}
    if declared.paged:
        schemas |= PAGING
    return [{"name": name, "in": "query", "required": False, "schema": schema} for name, schema in schemas.items()]


def _header_parameters(declared: Operation) -> list[Schema]:
    return [
        {"name": name, "in": "header", "required": False, "description": words, "schema": {"type": "string"}}
        for name, words in declared.headers.items()
    ]


def _inline(schema: Any, definitions: Mapping[str, Schema]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inline(definitions[schema["$ref"].rpartition("/")[2]], definitions)
        return {name: _inline(value, definitions) for name, value in schema.items()}
    return [_inline(each, definitions) for each in schema] if isinstance(schema, list) else schema
