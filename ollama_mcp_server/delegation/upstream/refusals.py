"""What an OpenAI-compatible endpoint's refusals mean; each server has its own words for them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ...daemon.refusals import innermost, lacking, overflow, retry_after
from ...daemon.wire import Part
from ...errors import (
    ContextOverflow,
    DaemonError,
    InvalidArgument,
    ModelNotFound,
    OllamaMCPError,
    PermissionDenied,
    QueueFull,
    RateLimited,
    TimedOut,
    TooLarge,
    Unauthorized,
)

#: Most characters of an endpoint's words; what follows may repeat the prompt.
MOST = 300
ADDRESS = "Check OLLAMA_MCP_OPENAI_BASE_URL: it ends in /v1 as a rule"
KEY = "Set OLLAMA_MCP_OPENAI_API_KEY to a key that it accepts"

#: Too long a prompt, as OpenAI, vLLM, llama-server, LM Studio, SGLang, TGI and the clouds say it.
_OVERFLOW = re.compile(
    r"context_length_exceeded|exceed_context_size|context (length|window|size)"
    r"|(maximum|longer than the) (prompt|model) length|prompt is too long|input is too long"
    r"|maximum number of tokens|tokens exceed the configured|`inputs` (tokens|must have)",
    re.IGNORECASE,
)
_NUMBER = r"(?P<tokens>\d[\d,]*)"
#: Where such a text has the tokens of the window, and those of the prompt, the surest first.
_WINDOW = [
    rf"(context (length|window|size)|(prompt|model) length|allowed|limit)( is| of)?( only)? ?\(?"
    rf"{_NUMBER}",
    rf"(with|<=|>) {_NUMBER}",
]
_NEEDED = [
    rf"(\(|has |contains |passed |length |Given: ){_NUMBER} ?(input |of text |in the messages"
    rf"|tokens from the input|tokens|`inputs`|\))",
    rf"(resulted in|count \(|length|too long:|the first|requested|requested about) ?\(?{_NUMBER}",
]
_MISSING = re.compile(
    r"model_?not_?found|models?\b.{0,100}?\b(not found|not exist|is not available)"
    r"|not a valid model|(no such|unknown|invalid) model",
    re.IGNORECASE | re.DOTALL,
)
_LACKING = {
    "tools": r"support (for )?(tools?|tool use|function calling)\b|tools param requires"
    r"|tool choice requires|tool-call-parser",
    "vision": r"(image|vision|multimodal).{0,40}(not support|only supported by)"
    r"|support (image|vision|multimodal)|not a multimodal model|at most 0 image"
    r"|unknown variant `image_url`",
    "thinking": r"support (thinking|reasoning)|(parameter|value): '?reasoning_effort",
    "completion": r"support (chat|generate)\b|not a chat model|support Chat Completions API",
}


def refused(
    status: int, body: str, *, model: str = "", headers: Mapping[str, str] | None = None
) -> OllamaMCPError:
    """Return the error for a refusal: its HTTP status (200 in mid-stream) and body.

    `body` is OpenAI's `{"error": {…}}`, or what others make of it: a text, a list, FastAPI's
    `detail`, JSON inside of the message, a page of HTML.
    """
    error, headers = _error(body), headers or {}
    text, code = _text(error), error.get("code")
    if status == 200 and isinstance(code, int):
        status = code
    said = f"{code or ''} {error.get('type') or ''} {text}"
    told = f": {text}" if text else ""
    if status != 429 and "rate_limit" not in said and _OVERFLOW.search(said):
        return _overflow(error, text)
    if status in (401, 403):
        return Unauthorized(f"the endpoint refused access (HTTP {status}){told}", KEY)
    if status == 402:
        return PermissionDenied(f"the account at the endpoint has no credit{told}")
    if status in (200, 400, 404, 422) and _MISSING.search(said):
        return missing(model)
    for capability, pattern in _LACKING.items():
        if status < 502 and re.search(pattern, text, re.IGNORECASE | re.DOTALL):
            found = lacking(model, capability)
            found.hint = f"The endpoint says: {text}"
            return found
    return _by_load(status, said, told, headers) or _otherwise(status, told, headers)


def missing(model: str) -> ModelNotFound:
    """Return the error for a model that an endpoint does not have."""
    return ModelNotFound(
        f"the endpoint has no model {model!r}", "Name one that it lists at /v1/models", model=model
    )


def _overflow(error: Part, text: str) -> ContextOverflow:
    needed = error.get("n_prompt_tokens") or _tokens(_NEEDED, text)
    window = error.get("n_ctx") or _tokens(_WINDOW, text)
    fits = isinstance(needed, int) and isinstance(window, int) and needed <= window
    found = overflow(None if fits else needed, window)
    found.hint = (
        "Lower options.num_predict: prompt and answer share the window"
        if fits
        else "Send less text or fewer tools, or serve the model with a larger window"
    )
    return found


def _tokens(patterns: list[str], text: str) -> int | None:
    found = next(filter(None, (re.search(p, text, re.IGNORECASE) for p in patterns)), None)
    return int(found["tokens"].replace(",", "")) if found else None


def _by_load(
    status: int, said: str, told: str, headers: Mapping[str, str]
) -> OllamaMCPError | None:
    """Return what is wrong with how much is asked, or how often."""
    wait = retry_after(headers)
    if status == 429 or "rate_limit" in said:
        if "insufficient_quota" in said:
            return PermissionDenied(f"the account at the endpoint has no credit{told}")
        return RateLimited(f"too many requests{told}", "Wait, then call again", retry_after=wait)
    if status == 413:
        return TooLarge(
            f"the request is larger than the endpoint accepts{told}",
            "Send less text or smaller pictures",
        )
    if status in (503, 529) or "loading model" in said.lower():
        return QueueFull(f"the endpoint is busy{told}", "Call again later", retry_after=wait)
    if status in (408, 504):
        return TimedOut(f"the endpoint did not answer in time{told}", "Call again")
    return None


def _otherwise(status: int, told: str, headers: Mapping[str, str]) -> OllamaMCPError:
    if status in (400, 422):
        return InvalidArgument(f"the endpoint refused the request{told}")
    if 300 <= status < 400:
        to = urlsplit(headers.get("location", ""))._replace(query="", fragment="").geturl()
        error = DaemonError(
            f"the endpoint's address redirects to {to}",
            "Set OLLAMA_MCP_OPENAI_BASE_URL to that address, up to /v1",
        )
    elif status in (404, 405):
        error = DaemonError(
            f"there is no OpenAI-compatible endpoint at this address{told}", ADDRESS
        )
    else:
        failed = f" (HTTP {status})" if status >= 500 else ""
        return DaemonError(
            f"the endpoint failed{failed}{told}",
            "Call again; the endpoint's log has more if it happens twice",
        )
    error.retryable = False
    return error


def _error(body: str) -> Part:
    """Return the error object of a body, whatever it is wrapped in; a page of HTML has no words."""
    text = body.strip()
    if text.startswith("[{"):  # Google's
        text = text[1:].removesuffix("]").strip()
    found = innermost(text)
    if isinstance(said := found.get("error"), str) and said == text and text.startswith("{"):
        with_detail = _parsed(text)  # neither `error` nor `message`
        found = with_detail if isinstance(with_detail, dict) else found
    return found


def _text(error: Part) -> str:
    """Return an error's words: no more than needed, and nothing of the request."""
    said: Any = error.get("message") or error.get("error") or error.get("detail") or ""
    if isinstance(said, dict):
        said = said.get("detail") or said.get("message") or ""
    if isinstance(said, list):  # pydantic's: where, and what
        rows = [row for row in said if isinstance(row, dict)]
        said = "; ".join(
            f"{'.'.join(map(str, row.get('loc') or ()))}: {row.get('msg')}" for row in rows
        )
    text = re.split(r",?\s*['\"]input['\"]\s*:", str(said))[0].strip()
    return text if len(text) <= MOST else f"{text[:MOST]}…"


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
