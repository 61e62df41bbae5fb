"""JSON in and out: request bodies, query strings and answers are pydantic models.

    class BeginUpload(Body):            # what a client sends: strict types, unknown names refused
        file_name: str
        size_bytes: int = Field(ge=1)
        library_id: UUID | None = None

    class UploadView(Answer):           # what we send: build it from anything with these attributes
        upload_id: UUID
        state: str

Malformed JSON is 400 ``invalid``, JSON of the wrong shape 422 ``invalid``; both name the ``field`` and say why.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Generic, TypeVar

from flask import Response, request
from flask_babel import gettext as _
from flask_babel import lazy_gettext as _l
from pydantic import BaseModel, ConfigDict, JsonValue, PlainSerializer, ValidationError
from pydantic_core import ErrorDetails

from portal.database import zulu
from portal.errors import Invalid

JSON = "application/json"
_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


LONGEST_FIELD = 200  # characters of a field's name in an answer
MOST_ERRORS = 20  # in one answer: a body of a megabyte can have a hundred thousand


class Malformed(Invalid):
    """What was sent can't be read at all: 400 instead of 422."""

    status = 400


class Body(BaseModel):
    """A JSON object that a client sends."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Query(BaseModel):
    """Parameters behind the question mark. Names that are not declared are ignored; ``limit`` and ``cursor`` are
    ``portal.web.paging``'s.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)


class Answer(BaseModel):
    """A JSON object that we send; ``from_attributes`` lets ``Answer.model_validate(row)`` read a row."""

    model_config = ConfigDict(from_attributes=True, frozen=True)


Time = Annotated[datetime, PlainSerializer(zulu, return_type=str, when_used="json")]
"""A moment in an answer: ISO 8601 in UTC, whatever zone the value carries."""

Item = TypeVar("Item")
M = TypeVar("M", bound=BaseModel)


class Listing(Answer, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next_cursor: str | None = None


def read_body(model: type[M]) -> M:
    """The request's JSON as ``model``. An absent body counts as ``{}``. Raises ``Invalid``."""
    raw = request.get_data()
    if raw and request.mimetype != JSON:
        raise Invalid(_("Send JSON, with Content-Type: application/json."), code="unsupported_type", allowed=[JSON])
    if _NUL.search(raw):
        raise Invalid(_("A text contains the character U+0000, which can't be stored."), field="body")
    try:
        return model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise _refusal(error) from None


def parse(model: type[M], value: JsonValue) -> M:
    """A part of a body that was read already, as ``model``. Raises ``Invalid``."""
    try:
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        raise _refusal(error) from None


def read_query(model: type[M]) -> M:
    """The request's query parameters as ``model``. Raises ``Invalid``."""
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise _refusal(error) from None


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response. Null fields are kept: a client sees every name that exists."""
    return Response(model.model_dump_json(), status, dict(headers or {}), mimetype=JSON)


def _refusal(error: ValidationError) -> Invalid:
    found = error.errors(include_url=False, include_input=False)
    if found[0]["type"] == "json_invalid":
        # The parser says where it stopped, in English.
        return Malformed(_("This is not JSON: %(error)s.", error=found[0]["msg"].partition(": ")[2]), field="body")
    problems = [{"field": _field(item["loc"]), "detail": _detail(item)} for item in found[:MOST_ERRORS]]
    first = problems[0]
    return Invalid(f"{first['field']}: {first['detail']}", field=first["field"], errors=problems)


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place)[:LONGEST_FIELD] or "body"


# By the type of pydantic's error; the values are those of its context.
_DETAILS = {
    "missing": _l("This field is required."),
    "extra_forbidden": _l("There is no field of this name."),
    "uuid_parsing": _l("This must be a UUID."),
    "uuid_type": _l("This must be a UUID."),
    "string_pattern_mismatch": _l("This must be a SHA-256 in hex, 64 digits."),  # the only pattern that bodies have
    "model_type": _l("This must be a JSON object."),
    "model_attributes_type": _l("This must be a JSON object."),
    "string_type": _l("This must be a text."),
    "int_type": _l("This must be a whole number."),
    "int_parsing": _l("This must be a whole number."),
    "int_from_float": _l("This must be a whole number."),
    "bool_type": _l("This must be true or false."),
    "bool_parsing": _l("This must be true or false."),
    "list_type": _l("This must be a list."),
    "dict_type": _l("This must be a JSON object."),
    "string_too_short": _l("This must have %(min_length)s characters or more."),
    "string_too_long": _l("This must have %(max_length)s characters or fewer."),
    "too_short": _l("This must have %(min_length)s entries or more."),
    "too_long": _l("This must have %(max_length)s entries or fewer."),
    "greater_than": _l("This must be more than %(gt)s."),
    "greater_than_equal": _l("This must be %(ge)s or more."),
    "less_than": _l("This must be less than %(lt)s."),
    "less_than_equal": _l("This must be %(le)s or less."),
    "literal_error": _l("This must be %(expected)s."),
    "enum": _l("This must be %(expected)s."),
}


def _detail(item: ErrorDetails) -> str:
    known = _DETAILS.get(item["type"])
    if known is not None:
        return str(known) % item.get("ctx", {})
    if item["type"] == "value_error":  # of a validator of ours, which has translated it
        return item["msg"].removeprefix("Value error, ")
    # For the rest, such as dates, only pydantic has a text, and only in English.
    message = item["msg"].replace(" after validation", "")
    return message if message.endswith(".") else f"{message}."
