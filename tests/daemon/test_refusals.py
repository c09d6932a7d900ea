"""Each of the daemon's refusals, as 0.34 words them, becomes the right error."""

import json

import pytest

from ollama_mcp_server.daemon.refusals import refused


def nested(**error: object) -> str:
    """What llama-server said, inside the string that the daemon says."""
    return json.dumps({"error": json.dumps({"error": error})})


def said(text: str) -> str:
    return json.dumps({"error": text})


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (404, said("model 'x:latest' not found"), "model_not_found"),
        (404, said('model "x" not found, try pulling it first'), "model_not_found"),
        (400, said('"m" does not support thinking'), "capability_missing"),
        (400, said("registry.ollama.ai/library/m:t does not support tools"), "capability_missing"),
        (400, said('"m" does not support chat'), "capability_missing"),
        (501, said("This server does not support embeddings. Start it with `--embeddings`"),
         "capability_missing"),
        (400, nested(code=400, message="Multimodal data provided, but model does not support "
                     "multimodal requests."), "capability_missing"),
        (400, nested(code=400, message="Failed to load image or audio file"), "invalid_argument"),
        (400, nested(type="exceed_context_size_error", n_prompt_tokens=6010, n_ctx=512,
                     message="request exceeds"), "context_overflow"),
        (400, said("the input length exceeds the context length"), "context_overflow"),
        (503, said("server busy, please try again.  maximum pending requests exceeded"),
         "queue_full"),
        (500, said("llm server loading model"), "queue_full"),
        (401, json.dumps({"error": "unauthorized", "signin_url": "https://s"}), "unauthorized"),
        (403, "", "permission_denied"),
        (403, said("ollama cloud is disabled: remote model is unavailable"), "permission_denied"),
        (413, "", "too_large"),
        (200, said("write /s/blobs/sha256-00ff-partial: no space left on device"), "too_large"),
        (500, said("write /s/blobs/sha256-00ff: disk quota exceeded"), "too_large"),
        (429, said("slow down"), "rate_limited"),
        (500, said('option "temperature" must be of type float32'), "invalid_argument"),
        (500, said('invalid format: "xml"'), "invalid_argument"),
        (400, said("raw mode does not support template, system, or context"), "invalid_argument"),
        (400, said("invalid model name"), "invalid_argument"),
        (200, said("pull model manifest: file does not exist"), "model_not_found"),
        (200, said('pull model manifest: Get "https://r/": dial tcp: lookup r: no such host'),
         "registry_error"),
        (200, said("digest mismatch, file must be downloaded again: want a, got b"),
         "registry_error"),
        (400, said('digest mismatch, expected "a", got "b"'), "invalid_argument"),
        (502, said('Post "https://ollama.com:443/": dial tcp: no such host'), "registry_error"),
        (200, said("500: "), "registry_error"),
        (200, said("unqualified name: registry.ollama.ai/library/!!:latest"), "invalid_argument"),
        (200, said("open /s/manifests/r/x/1: no such file or directory"), "model_not_found"),
        (200, said("open /s/blobs/sha256-00ff: no such file or directory"), "not_found"),
        (500, said("llama runner process has terminated"), "daemon_error"),
        (500, "<html><body>Bad gateway</body></html>", "daemon_error"),
        (500, "null", "daemon_error"),
        (500, "[1]", "daemon_error"),
        (500, "{" + "[" * 100_000, "daemon_error"),
        (200, json.dumps({"error": {"message": "odd"}}), "daemon_error"),
        (404, "404 page not found", "daemon_error"),
        (301, "", "daemon_error"),
    ],
)  # fmt: skip
def test_meaning(status: int, body: str, code: str) -> None:
    error = refused(status, body, model="m")
    assert error.code == code
    assert error.message
    assert "<" not in str(error)


def test_the_path_of_the_store_is_not_told() -> None:
    error = refused(200, said("write /s/blobs/sha256-00ff-partial: no space left on device"))
    assert "/s/blobs" not in str(error)
    assert "ollama_delete" in error.hint
    assert not error.retryable


def test_the_numbers_of_an_overflow_are_kept() -> None:
    overflow = nested(
        message="too long", type="exceed_context_size_error", n_prompt_tokens=9, n_ctx=4
    )
    error = refused(400, overflow)
    assert error.details == {"prompt_tokens": 9, "context": 4}
    assert "9 tokens in a window of 4" in error.message


def test_the_signin_address_is_passed_on() -> None:
    error = refused(401, json.dumps({"error": "unauthorized", "signin_url": "https://s/x"}))
    assert error.details == {"signin_url": "https://s/x"}
    assert "https://s/x" in str(error)


def test_retry_after_is_kept() -> None:
    assert refused(503, said("busy"), headers={"retry-after": "7"}).details["retry_after"] == 7


def test_the_runners_own_words_are_told_without_their_json() -> None:
    inner = json.dumps({"error": {"code": 500, "message": "out of range", "type": "server_error"}})
    assert "out of range" in refused(500, said(f"detokenize error: {inner}")).message
    assert "{" not in refused(500, said(f"detokenize error: {inner}")).message


def test_a_plain_registry_can_be_allowed() -> None:
    error = refused(200, said("http: server gave HTTP response to HTTPS client"))
    assert "insecure: true" in error.hint


def test_what_will_not_mend_itself_is_not_worth_a_retry() -> None:
    assert not refused(302, "", headers={"location": "https://x"}).retryable
    assert not refused(404, "404 page not found").retryable
    assert refused(500, said("the runner died")).retryable
