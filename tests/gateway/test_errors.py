"""Errors in the dialect of each API, as its own clients read them."""

from __future__ import annotations

import json

import pytest

from ollama_mcp_server import errors
from ollama_mcp_server.errors import (
    ContextOverflow,
    ModelNotFound,
    OllamaMCPError,
    PermissionDenied,
    QueueFull,
    RateLimited,
    Unauthorized,
)
from ollama_mcp_server.gateway.errors import (
    as_anthropic,
    as_ollama,
    as_openai,
    as_plain,
    dialect_of,
    refusal,
)

EVERY = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, OllamaMCPError)
]
#: What Anthropic's API may answer (docs: Errors).
ANTHROPIC = {
    "invalid_request_error",
    "authentication_error",
    "permission_error",
    "not_found_error",
    "request_too_large",
    "rate_limit_error",
    "api_error",
    "overloaded_error",
    "timeout_error",
}


@pytest.mark.parametrize(
    ("path", "dialect"),
    [
        ("/v1/chat/completions", "openai"),
        ("/v1/models/qwen3:8b", "openai"),
        ("/v1/", "openai"),
        ("/v1", "openai"),
        ("/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1/messagesx", "openai"),
        ("/api/chat", "ollama"),
        ("/api/blobs/sha256:0", "ollama"),
        ("/api/nothing", "ollama"),
        ("/api/ask", "plain"),
        ("/api/do", "plain"),
        ("/api/document", "ollama"),
        ("/tools/fs/read", "plain"),
        ("/mcp", "plain"),
        ("/", "plain"),
        ("/v11/x", "plain"),
    ],
)
def test_a_path_tells_its_dialect(path: str, dialect: str) -> None:
    assert dialect_of(path) == dialect


@pytest.mark.parametrize("kind", EVERY)
def test_every_error_has_its_status_and_its_words_in_every_dialect(
    kind: type[OllamaMCPError],
) -> None:
    error = kind("it went wrong", "Do this")
    told = "it went wrong. Do this."
    status, _, openai = as_openai(error)
    assert status == kind.status
    assert openai["error"].keys() == {"message", "type", "param", "code"}
    assert openai["error"]["message"] == told
    status, _, anthropic = as_anthropic(error)
    assert status == kind.status
    assert anthropic == {
        "type": "error",
        "error": {"type": anthropic["error"]["type"], "message": told},
    }
    assert anthropic["error"]["type"] in ANTHROPIC
    shown = {"status": told} if kind.status == 401 else {}  # for Ollama's command line
    assert as_ollama(error) == (kind.status, {}, {"error": told, **shown})
    assert as_plain(error) == (kind.status, {}, {"error": error.as_dict()})


def test_openai_has_words_of_its_own() -> None:
    def of(error: OllamaMCPError) -> tuple[str, str, str | None]:
        body = as_openai(error)[2]["error"]
        return body["type"], body["code"], body["param"]

    assert of(ModelNotFound("x")) == ("invalid_request_error", "model_not_found", "model")
    assert of(ContextOverflow("x")) == (
        "invalid_request_error",
        "context_length_exceeded",
        "messages",
    )
    assert of(Unauthorized("x")) == ("authentication_error", "invalid_api_key", None)
    assert of(RateLimited("x")) == ("rate_limit_error", "rate_limit_exceeded", None)
    assert of(PermissionDenied("x")) == ("permission_error", "permission_denied", None)
    assert of(QueueFull("x")) == ("server_error", "queue_full", None)


@pytest.mark.parametrize(("wait", "header"), [(0.0, "1"), (0.2, "1"), (1.2, "2"), (60, "60")])
def test_retry_after_is_whole_seconds_in_every_dialect(wait: float, header: str) -> None:
    error = RateLimited("too many", retry_after=wait)
    for told in (as_openai, as_anthropic, as_ollama, as_plain):
        assert told(error)[1]["Retry-After"] == header


def test_the_official_clients_are_told_whether_repeating_helps() -> None:
    for told in (as_openai, as_anthropic):
        assert told(QueueFull("full"))[1]["x-should-retry"] == "true"
        assert told(errors.Conflict("there already"))[1]["x-should-retry"] == "false"


def test_a_refusal_is_a_response_in_the_dialect_of_its_path() -> None:
    response = refusal(Unauthorized("no key", "Send one"), "/api/chat", WWW_Authenticate="Bearer")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == "Bearer"
    assert json.loads(bytes(response.body)) == {
        "error": "no key. Send one.",
        "status": "no key. Send one.",
    }
    response = refusal(Unauthorized("no key"), "/v1/messages")
    assert json.loads(bytes(response.body))["type"] == "error"
