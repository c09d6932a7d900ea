"""An error of ours, as each API says it: status, headers and body."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Any, Literal, TypeAlias

from starlette.responses import JSONResponse

from ..errors import OllamaMCPError

Dialect = Literal["openai", "ollama", "anthropic", "plain"]
#: Status, headers and body of a refusal.
Told: TypeAlias = "tuple[int, dict[str, str], dict[str, Any]]"

#: Routes of our own among Ollama's.
OWN = ("/api/ask", "/api/do")

#: OpenAI's `type` by status; other faults of the caller are `invalid_request_error`.
_OPENAI_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
}
#: OpenAI's `code`, where it has a word of its own for what our code says.
_OPENAI_CODES = {
    "context_overflow": "context_length_exceeded",
    "unauthorized": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
}
#: OpenAI's `param`, where the code tells which field it was.
_OPENAI_PARAMS = {"model_not_found": "model", "context_overflow": "messages"}
#: Anthropic's `type` by status; other faults of the caller are `invalid_request_error`.
_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def dialect_of(path: str) -> Dialect:
    """Return the API that a path belongs to."""
    if path == "/v1/messages" or path.startswith("/v1/messages/"):
        return "anthropic"
    if path == "/v1" or path.startswith("/v1/"):
        return "openai"
    if path.startswith("/api/") and not path.startswith(tuple(f"{own}/" for own in OWN)):
        return "plain" if path in OWN else "ollama"
    return "plain"


def as_openai(error: OllamaMCPError) -> Told:
    """Return an error as OpenAI's API says it."""
    fault = "invalid_request_error" if error.status < 500 else "server_error"
    body = {
        "message": said(error),
        "type": _OPENAI_TYPES.get(error.status, fault),
        "param": _OPENAI_PARAMS.get(error.code),
        "code": _OPENAI_CODES.get(error.code, error.code),
    }
    return error.status, {**headers_of(error), **_retry(error)}, {"error": body}


def as_anthropic(error: OllamaMCPError) -> Told:
    """Return an error as Anthropic's API says it."""
    fault = "invalid_request_error" if error.status < 500 else "api_error"
    body = {"type": _ANTHROPIC_TYPES.get(error.status, fault), "message": said(error)}
    headers = {**headers_of(error), **_retry(error)}
    return error.status, headers, {"type": "error", "error": body}


def as_ollama(error: OllamaMCPError) -> Told:
    """Return an error as Ollama says it: a text, before which its clients put `Error:`."""
    told = {"error": said(error)}
    if error.status == 401:  # of which Ollama's command line shows this field, and no other
        told["status"] = told["error"]
    return error.status, headers_of(error), told


def as_plain(error: OllamaMCPError) -> Told:
    """Return an error as the rest of this server says it."""
    return error.status, headers_of(error), {"error": error.as_dict()}


_DIALECTS: dict[Dialect, Callable[[OllamaMCPError], Told]] = {
    "openai": as_openai,
    "anthropic": as_anthropic,
    "ollama": as_ollama,
    "plain": as_plain,
}


def refusal(error: OllamaMCPError, path: str, **headers: str) -> JSONResponse:
    """Return the response that tells an error in the dialect of a path.

    Args:
        error: what went wrong.
        path: of the request.
        headers: further ones, with `_` for `-`.
    """
    status, own, body = _DIALECTS[dialect_of(path)](error)
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return JSONResponse(body, status, {**own, **more})


def said(error: OllamaMCPError) -> str:
    """Return what happened and what to do about it, as one text."""
    return str(error).removeprefix("Error: ")


def headers_of(error: OllamaMCPError) -> dict[str, str]:
    """Return the headers that every API has: Retry-After, where it is known when to."""
    wait = error.details.get("retry_after")
    return {} if wait is None else {"Retry-After": str(max(1, ceil(wait)))}


def _retry(error: OllamaMCPError) -> dict[str, str]:
    """Tell the official clients, which would repeat any 409, 429 and 5xx, whether it helps."""
    return {"x-should-retry": "true" if error.retryable else "false"}
