"""The document tells of every operation, and is valid."""

from __future__ import annotations

import re

from flask import Flask
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.people import Cast


def test_the_document_is_valid_openapi(cast: Cast) -> None:
    answer = cast.nobody.get("/v1/openapi.json")
    assert answer.status_code == 200
    errors = list(OpenAPIV31SpecValidator(answer.get_json()).iter_errors())
    assert errors == []


def test_every_route_of_the_api_is_described(app: Flask, cast: Cast) -> None:
    paths = cast.nobody.get("/v1/openapi.json").get_json()["paths"]
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/v1/") and rule.rule != "/v1/openapi.json":
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}:
                described = paths[path][method.lower()]
                assert described["summary"], rule.rule
                assert described["responses"]


def test_operations_have_names_of_their_own(cast: Cast) -> None:
    paths = cast.nobody.get("/v1/openapi.json").get_json()["paths"]
    names = [operation["operationId"] for path in paths.values() for operation in path.values()]
    assert len(names) == len(set(names))


def test_every_list_is_given_out_in_pages(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        told = getattr(app.view_functions[rule.endpoint], "operation", None)
        if told is None or told.returns is None:
            continue
        fields = told.returns.model_fields
        if "GET" in (rule.methods or set()) and "items" in fields:
            assert told.paged and "next_cursor" in fields, rule.rule
