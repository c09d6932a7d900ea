"""The daemon's refusals, and what they mean: the only mapping from its texts to our errors."""

import json
import re
from collections.abc import Mapping
from typing import Any

from ..errors import (
    CapabilityMissing,
    ContextOverflow,
    DaemonError,
    InvalidArgument,
    ModelNotFound,
    NotFound,
    OllamaMCPError,
    PermissionDenied,
    QueueFull,
    RateLimited,
    RegistryError,
    TooLarge,
    Unauthorized,
)

#: What the daemon says (0.34's texts), and what that means.
_LACKING = re.compile(r"does not support (?P<what>thinking|tools|insert|vision|chat|generate)")
_NO_IMAGES = re.compile(r"does not support multimodal|image input is not supported")
_MISSING_BLOB = re.compile(r"blobs/(?P<digest>sha256-[0-9a-f]+): no such file")
_MISSING_MODEL = re.compile(r"model ['\"]?(?P<model>[^'\"]*?)['\"]? not found")
_UPSTREAM = re.compile(
    r"manifest|digest mismatch|dial tcp|no such host|connection refused|tls:"
    r"|gave HTTP response to HTTPS client|Location header|i/o timeout"
    r"|max retries|^\d{3}:"
)
_NO_ROOM = re.compile(r"no space left on device|disk quota exceeded")
_CALLERS_FAULT = re.compile(
    r"^option |invalid format|unknown renderer|template: |unqualified name|invalid model name"
)


def refused(
    status: int, body: str, *, model: str = "", headers: Mapping[str, str] | None = None
) -> OllamaMCPError:
    """Return the error for the daemon's refusal: its HTTP status (200 in mid-stream) and body.

    `body` is Ollama's `{"error": …}` in any of the shapes that it takes: a string, an object, a
    JSON document inside the string (what llama-server said), or a page from a proxy between.
    """
    error = innermost(body)
    text = str(error.get("message") or error.get("error") or "").strip()
    if error.get("type") == "exceed_context_size_error" or "exceeds the context length" in text:
        return overflow(error.get("n_prompt_tokens"), error.get("n_ctx"))
    return (
        _by_status(status, text, error, headers or {})
        or _about_the_model(status, text, model)
        or _about_the_network(status, text)
        or _otherwise(status, text, headers or {})
    )


def _by_status(
    status: int, text: str, error: Mapping[str, Any], headers: Mapping[str, str]
) -> OllamaMCPError | None:
    """Return what is not about the request: credentials, permission, room, load."""
    if status == 401:
        signin = error.get("signin_url")
        return Unauthorized(
            "Ollama asks for a sign-in" if signin else "the daemon refused the credentials",
            f"Open {signin} and sign in, then call again"
            if signin
            else "Set OLLAMA_API_KEY, or the header it wants in OLLAMA_MCP_HEADERS",
            signin_url=signin,
        )
    if status == 403:
        return PermissionDenied(
            f"Ollama refused: {text}" if text else "the daemon refused this Host or Origin",
            ""
            if text
            else "Set OLLAMA_HOST to an address that it accepts (an IP address or localhost), or "
            "allow the name with OLLAMA_ORIGINS on its side",
        )
    if _NO_ROOM.search(text):  # the rest is a path of the store
        return TooLarge(
            "the disk of the daemon is full",
            "Free some space there (ollama_delete removes a model), then call again; what was "
            "downloaded is kept",
        )
    if status == 413:
        return TooLarge(
            "the request is larger than the daemon or a proxy before it accepts",
            "Send less text or smaller pictures",
        )
    wait = retry_after(headers)
    if status == 429:
        told = f": {text}" if text else ""
        return RateLimited(f"too many requests{told}", "Wait, then call again", retry_after=wait)
    if status == 503 or "loading model" in text:
        return QueueFull(
            f"Ollama is busy: {text or 'too many requests wait'}",
            "Call again later, or raise OLLAMA_MAX_QUEUE or OLLAMA_NUM_PARALLEL where the daemon "
            "runs",
            retry_after=wait,
        )
    return None


def _about_the_model(status: int, text: str, model: str) -> OllamaMCPError | None:
    """Return what is wrong with the model: it is not there, or cannot do it."""
    if status == 501:
        return lacking(model, "embedding")
    if found := _LACKING.search(text):
        what = found["what"]
        return lacking(model, "completion" if what in ("chat", "generate") else what)
    if _NO_IMAGES.search(text):
        return lacking(model, "vision")
    if found := _MISSING_MODEL.search(text):
        return missing(model or found["model"])
    if "manifests/" in text and "no such file" in text:  # push; the rest is a path of the store
        return missing(model)
    if found := _MISSING_BLOB.search(text):
        return NotFound(
            f"the daemon has no blob {found['digest'].replace('-', ':')}",
            "Upload it first (POST /api/blobs/DIGEST on the daemon)",
        )
    if "manifest" in text and "file does not exist" in text:
        return ModelNotFound(
            f"the registry has no model {model!r}",
            "Check the name and its tag at ollama.com/library",
            model=model,
        )
    return None


def _about_the_network(status: int, text: str) -> OllamaMCPError | None:
    """Return what kept the daemon from a registry or the cloud."""
    if status not in (200, 500, 502) or not _UPSTREAM.search(text):
        return None
    hint = "Check the network where the daemon runs, then call again; what was downloaded is kept"
    if "HTTP response to HTTPS client" in text:
        hint = "The registry speaks plain http: pass insecure: true if you trust the network to it"
    return RegistryError(f"the daemon could not get this from the registry or cloud: {text}", hint)


def _otherwise(status: int, text: str, headers: Mapping[str, str]) -> OllamaMCPError:
    if status in (400, 422) or _CALLERS_FAULT.search(text):
        return InvalidArgument(f"Ollama refused the request: {text}")
    if 300 <= status < 400:
        error = DaemonError(
            f"the address of the daemon redirects to {headers.get('location')}",
            "Set OLLAMA_HOST to that address",
        )
    elif status in (404, 405):
        error = DaemonError(
            "this daemon does not know the request; it is older than the server needs, or no "
            "Ollama",
            "Update Ollama, or check OLLAMA_HOST",
        )
    else:
        return DaemonError(
            f"Ollama failed: {text or f'HTTP status {status}'}",
            "Call again; the daemon's log has more if it happens twice",
        )
    error.retryable = False
    return error


def overflow(needed: int | None, available: int | None) -> ContextOverflow:
    """Return the error for a prompt of `needed` tokens in a window of `available` tokens."""
    numbers = f": {needed} tokens in a window of {available}" if needed and available else ""
    return ContextOverflow(
        f"the prompt is longer than the model's context window{numbers}",
        "Shorten the input, or raise options.num_ctx as far as the model and memory allow",
        prompt_tokens=needed,
        context=available,
    )


def lacking(model: str, capability: str) -> CapabilityMissing:
    """Return the error for a model that cannot do what was asked."""
    what = "chat or generate: it only embeds" if capability == "completion" else capability
    return CapabilityMissing(
        f"the model {model!r} does not support {what}", model=model, capability=capability
    )


def missing(model: str) -> ModelNotFound:
    """Return the error for a model that is not installed."""
    return ModelNotFound(
        f"the model {model!r} is not installed",
        f"Get it with ollama_pull (model: {model!r}), or see ollama_list",
        model=model,
    )


def innermost(body: str) -> dict[str, Any]:
    """Return the innermost error object of the daemon's body; a page of HTML gives no text."""
    error: dict[str, Any] = {"error": body}
    text: Any = body
    while isinstance(text, (str, dict)):
        if isinstance(text, str):
            # llama-server's own error may follow words of the daemon's: `detokenize error: {…}`
            text = _parsed(text[text.find("{") :]) if "{" in text else None
        if not isinstance(text, dict) or not ("error" in text or "message" in text):
            break
        error, text = dict(text), text.get("error", text.get("message"))
    said = str(error.get("message") or error.get("error") or "")
    if said.lstrip().startswith("<") or len(said) > 2000:
        return {}
    return error


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for; None for a date, or without one."""
    value = headers.get("retry-after", "")
    return float(value) if value.isdecimal() else None
