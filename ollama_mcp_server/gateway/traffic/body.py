"""Bodies of requests to our own routes: JSON objects, whatever type their headers name."""

from __future__ import annotations

from typing import Any, TypeVar

from fastapi import Security
from fastapi.security import HTTPBearer
from pydantic import BaseModel, ValidationError
from pydantic_core import from_json

from ...errors import InvalidArgument
from ...faults import place, sentence, words

Kind = TypeVar("Kind", bound=BaseModel)


class Fault(BaseModel):
    """What went wrong, and what to do about it."""

    code: str
    message: str
    hint: str
    retryable: bool
    details: dict[str, Any] | None = None


class Refused(BaseModel):
    """A refusal."""

    error: Fault


#: Statuses of refusals, and what they mean.
_REFUSALS: dict[int | str, str] = {
    400: "What was sent is wrong, or cannot be had; nothing was done.",
    401: "A key is needed, or this one is not known.",
    403: "The key, the settings or the caller's place do not allow it.",
    404: "There is no such model, server, tool or file.",
    405: "Another method is served.",
    409: "It clashes with what is there.",
    413: "Too much was sent.",
    421: "This server does not go by that name.",
    429: "Too many requests or tokens in this minute, or too many at a time.",
    502: "The daemon, a registry or a tool failed, in its own words.",
    503: "The daemon or a server is down, or too many wait already.",
    504: "There was no answer in time.",
    "4XX": "What went wrong, and what to do.",
}
#: What a route's description says of its refusals.
REFUSALS: dict[int | str, dict[str, Any]] = {
    status: {"model": Refused, "description": told} for status, told in _REFUSALS.items()
}
#: What it says of keys; whether one is needed, and known, was judged before any route.
KEY: Any = Security(HTTPBearer(auto_error=False, scheme_name="key", description="An API key."))


def parsed(body: bytes) -> dict[str, Any]:
    """Return the object that a body holds; an empty body is an empty object.

    Raises:
        InvalidArgument: it is no JSON, or no object.
    """
    try:
        given = from_json(body, allow_inf_nan=False) if body.strip() else {}
    except ValueError as error:
        told = str(error).replace("at line 1 column", "at character")
        raise InvalidArgument(f"the body is no JSON: {told}", "Send a JSON object") from None
    if not isinstance(given, dict):
        raise InvalidArgument("the body must be a JSON object", 'Such as {"question": "…"}')
    return given


def read_as(kind: type[Kind], body: bytes) -> Kind:
    """Return what a body asks for.

    Raises:
        InvalidArgument: a field is wrong, missing, or not known; no value is repeated.
    """
    try:
        return kind.model_validate(given := parsed(body))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
    where = tuple(step for step in fault["loc"] if isinstance(step, int) or step in _names(given))
    if fault["type"] == "extra_forbidden":
        known = ", ".join(kind.model_fields)
        raise InvalidArgument(f"unknown field {str(fault['loc'][0])[:60]}", f"Known are {known}")
    where = where or fault["loc"][:1]  # one that is missing is not given
    raise InvalidArgument(sentence(place(where), words(fault)))


def described(kind: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI says of a body that a route reads by itself."""
    schema = kind.model_json_schema()
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


def _names(given: Any) -> set[str]:
    return set(given) if isinstance(given, dict) else set()
