"""What endpoints say when they refuse, in the words of many servers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from ollama_mcp_server.delegation.upstream.refusals import MOST, refused
from ollama_mcp_server.errors import (
    CapabilityMissing,
    ContextOverflow,
    DaemonError,
    InvalidArgument,
    ModelNotFound,
    PermissionDenied,
    QueueFull,
    RateLimited,
    TimedOut,
    TooLarge,
    Unauthorized,
)


def openais(message: str, **more: Any) -> str:
    return json.dumps({"error": {"message": message, "type": "invalid_request_error", **more}})


OVERFLOWS = {
    "OpenAI": (
        "This model's maximum context length is 8192 tokens. However, your messages resulted in "
        "10000 tokens. Please reduce the length of the messages.",
        (10000, 8192),
    ),
    "OpenAI, functions": (
        "This model's maximum context length is 8,192 tokens. However, you requested 9,000 tokens "
        "(8,500 in the messages, 500 in the completion).",
        (8500, 8192),
    ),
    "OpenAI, newer": (
        "Your input exceeds the context window of this model. Please adjust your input and try "
        "again.",
        (None, None),
    ),
    "OpenAI, limit": (
        "Input tokens exceed the configured limit of 272000 tokens. Your messages resulted in "
        "300000 tokens.",
        (300000, 272000),
    ),
    "vLLM": (
        "This model's maximum context length is 2048 tokens. However, your request has 3000 input "
        "tokens. Please reduce the length of the input messages.",
        (3000, 2048),
    ),
    "vLLM, older": (
        "This model's maximum context length is 2048 tokens. However, you requested 3100 tokens "
        "(3000 in the messages, 100 in the completion). Please reduce the length of the messages "
        "or completion.",
        (3000, 2048),
    ),
    "vLLM, newer": (
        "You passed 3001 input tokens and requested 100 output tokens. However, the model's "
        "context length is only 2048 tokens, resulting in a maximum input length of 1948 tokens.",
        (3001, 2048),
    ),
    "vLLM, engine": (
        "The decoder prompt (length 5000) is longer than the maximum model length of 2048. Make "
        "sure that `max_model_len` is no smaller than the number of text tokens.",
        (5000, 2048),
    ),
    "llama-server": (
        "request (6000 tokens) exceeds the available context size (4096 tokens), try increasing it",
        (6000, 4096),
    ),
    "llama-server, older": (
        "the request exceeds the available context size. try increasing the context size or "
        "enable context shift",
        (None, None),
    ),
    "LM Studio": (
        "Trying to keep the first 6000 tokens when context the overflows. However, the model is "
        "loaded with context length of only 4096 tokens, which is not enough.",
        (6000, 4096),
    ),
    "SGLang": (
        "The input (5000 tokens) is longer than the model's context length (4096 tokens).",
        (5000, 4096),
    ),
    "SGLang, total": (
        "Requested token count exceeds the model's maximum context length of 4096 tokens. You "
        "requested a total of 5000 tokens: 4900 tokens from the input messages and 100 tokens for "
        "the completion.",
        (None, 4096),
    ),
    "TGI": (
        "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 5000 "
        "`inputs` tokens and 100 `max_new_tokens`",
        (5000, 4096),
    ),
    "Anthropic": (
        "prompt is too long: 208310 tokens > 200000 maximum",
        (208310, 200000),
    ),
    "Google": (
        "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
        (1200000, 1048576),
    ),
    "Mistral": (
        "Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum "
        "context length",
        (40000, 32768),
    ),
    "OpenRouter": (
        "This endpoint's maximum context length is 32768 tokens. However, you requested about "
        "50000 tokens (49000 of text input, 1000 in the output).",
        (49000, 32768),
    ),
    "xAI": (
        "This model's maximum prompt length is 131072 but the request contains 537812 tokens.",
        (537812, 131072),
    ),
}


@pytest.mark.parametrize("server", OVERFLOWS)
def test_too_long_a_prompt(server: str) -> None:
    message, (needed, window) = OVERFLOWS[server]
    error = refused(400, openais(message))
    assert isinstance(error, ContextOverflow)
    assert (error.details.get("prompt_tokens"), error.details.get("context")) == (needed, window)
    assert "num_ctx" not in error.hint


def test_too_long_a_prompt_by_code_and_fields() -> None:
    assert isinstance(refused(400, openais("x", code="context_length_exceeded")), ContextOverflow)
    fields = {"type": "exceed_context_size_error", "n_prompt_tokens": 6000, "n_ctx": 4096}
    error = refused(400, openais("the request exceeds it", **fields))
    assert error.details == {"prompt_tokens": 6000, "context": 4096}
    assert "6000 tokens in a window of 4096" in error.message


def test_a_prompt_that_fits_with_too_long_an_answer() -> None:
    message = (
        "'max_tokens' or 'max_completion_tokens' is too large: 4000. This model's maximum context "
        "length is 2048 tokens and your request has 100 input tokens (4000 > 2048 - 100)."
    )
    error = refused(400, openais(message))
    assert isinstance(error, ContextOverflow)
    assert "num_predict" in error.hint


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("body", [openais("Incorrect API key provided"), "Forbidden", "", "<html>"])
def test_no_access(status: int, body: str) -> None:
    error = refused(status, body)
    assert isinstance(error, Unauthorized)
    assert "OLLAMA_MCP_OPENAI_API_KEY" in error.hint
    assert "<html>" not in str(error)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, openais("The model `x` does not exist or you do not have access to it.")),
        (404, openais("The model 'x' does not exist.", type="NotFoundError", code=404)),
        (404, openais("x", code="model_not_found")),
        (404, openais("model 'x' not found")),
        (400, openais("Model Not Exist")),
        (400, openais("x is not a valid model ID", code=400)),
        (404, '[{"error": {"code": 404, "message": "models/x is not found for API v1main"}}]'),
        (200, openais("The model `x` does not exist.", code=404)),
    ],
)
def test_no_such_model(status: int, body: str) -> None:
    error = refused(status, body, model="x")
    assert isinstance(error, ModelNotFound)
    assert error.details["model"] == "x"
    assert "ollama_pull" not in str(error)


@pytest.mark.parametrize(
    ("capability", "status", "message"),
    [
        ("tools", 400, "registry.ollama.ai/testbed/chat:135m does not support tools"),
        (
            "tools",
            400,
            '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser',
        ),
        ("tools", 500, "tools param requires --jinja flag"),
        ("tools", 404, "No endpoints found that support tool use."),
        ("vision", 500, "image input is not supported - hint: you may need to provide the mmproj"),
        ("vision", 400, "m is not a multimodal model"),
        ("vision", 400, "At most 0 image(s) may be provided in one request."),
        ("vision", 400, "Invalid content type. image_url is only supported by certain models."),
        ("vision", 422, "messages[0]: unknown variant `image_url`, expected `text`"),
        ("thinking", 400, '"m" does not support thinking'),
        ("thinking", 400, "Unsupported parameter: 'reasoning_effort' is not supported"),
        ("completion", 400, '"m" does not support chat'),
    ],
)
def test_what_a_model_cannot_do(capability: str, status: int, message: str) -> None:
    error = refused(status, openais(message), model="m")
    assert isinstance(error, CapabilityMissing)
    assert error.details["capability"] == capability
    assert message in error.hint


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (402, openais("Insufficient Balance"), PermissionDenied),
        (429, openais("You exceeded your quota", code="insufficient_quota"), PermissionDenied),
        (429, openais("Rate limit reached for tokens per min; context length"), RateLimited),
        (413, openais("Request too large", code="rate_limit_exceeded"), RateLimited),
        (413, "<html>413 Request Entity Too Large</html>", TooLarge),
        (503, '{"error":{"code":503,"message":"Loading model"}}', QueueFull),
        (529, openais("Overloaded"), QueueFull),
        (504, "upstream request timeout", TimedOut),
        (500, openais("CUDA error"), DaemonError),
        (502, "<html>Bad gateway</html>", DaemonError),
        (404, "404 page not found", DaemonError),
        (405, '{"detail":"Method Not Allowed"}', DaemonError),
        (418, "", DaemonError),
        (200, '{"error":{"message":"EngineCore died","code":500}}', DaemonError),
        (200, '{"error":"the runner is gone"}', DaemonError),
        (200, '{"error":{"message":"slow down","code":429}}', RateLimited),
        (400, openais("messages is too short"), InvalidArgument),
        (422, '{"detail":[{"loc":["body","top_p"],"msg":"must be less"}]}', InvalidArgument),
    ],
)
def test_what_a_status_means(status: int, body: str, kind: type) -> None:
    error = refused(status, body)
    assert type(error) is kind
    assert "<" not in str(error)


def test_the_wait_is_told() -> None:
    error = refused(429, openais("slow down"), headers={"retry-after": "7"})
    assert error.details["retry_after"] == 7


def test_a_redirect_names_where_to() -> None:
    to = "https://elsewhere.example/v1/chat/completions?token=secret#x"
    error = refused(307, "", headers={"location": to})
    assert "https://elsewhere.example/v1/chat/completions" in error.message
    assert "secret" not in str(error)
    assert not error.retryable


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"detail":[{"loc":["body","seed"],"msg":"no","input":"SECRET"}]}', "body.seed: no"),
        (
            '{"object":"error","message":{"detail":[{"loc":["body","x"],"msg":"extra"}]}}',
            "body.x: extra",
        ),
        ('{"object":"error","message":"bad","type":"BadRequestError","code":400}', "bad"),
        ('{"detail":"no"}', "no"),
        ('{"error":"no"}', "no"),
        (openais("[{'loc': ('body',), 'msg': 'no', 'input': 'SECRET'}]"), "'msg': 'no'"),
        (openais('{"error":{"code":400,"message":"inner","type":"x"}}'), "inner"),
        ('[{"error":{"code":400,"message":"google"}}]', "google"),
        ("plain words", "plain words"),
    ],
)
def test_its_words_are_found_and_nothing_of_the_request(body: str, said: str) -> None:
    error = refused(400, body)
    assert isinstance(error, InvalidArgument)
    assert said in error.message
    assert "SECRET" not in str(error)


def test_long_words_are_cut() -> None:
    assert len(refused(400, openais("x" * 1000)).message) < MOST + 50
