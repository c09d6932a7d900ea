"""What is asked of the models and what they answer, for one who watches; nothing is changed."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import httpx

if TYPE_CHECKING:
    from .client import Client

#: Routes on which a model is asked.
ASKING = frozenset(
    (
        "/api/chat",
        "/api/embed",
        "/api/embeddings",
        "/api/generate",
        "/v1/chat/completions",
        "/v1/completions",
        "/v1/embeddings",
        "/v1/messages",
        "/v1/responses",
    )
)
#: Bytes of a request that is read to learn its model; of a longer one the beginning is.
READ = 256 * 1024
HEAD = 1024
#: Bytes at the end of an answer in which its counts stand.
TAIL = 2048

_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,300})"')
_NUMBER = re.compile(rb'"([a-z_]+(?:_count|_tokens|_duration))"\s*:\s*(\d+)')
_REASON = re.compile(rb'"(?:done_reason|finish_reason|stop_reason)"\s*:\s*"(\w{1,40})"')
#: The dialects' names for the same counts.
_PROMPT = ("prompt_eval_count", "prompt_tokens", "input_tokens")
_ANSWER = ("eval_count", "completion_tokens", "output_tokens")


class Exchange(Protocol):
    """One request to a model, watched; none of it may block or raise."""

    def answered(self, status: int) -> None:
        """Note that the answer begins."""

    def heard(self, parts: int) -> None:
        """Note that some parts of the answer came, each about a token."""

    def ended(self, end: End | None) -> None:
        """Note that the answer is over; None where it broke off, or never came."""


#: Begins to watch a request: told its path and model, as far as that can be read.
Begin: TypeAlias = "Callable[[str, str | None], Exchange]"


class End:
    """What the end of an answer tells: counts, and seconds where the daemon has measured them."""

    def __init__(self, tail: bytes) -> None:
        numbers = {match[1].decode(): int(match[2]) for match in _NUMBER.finditer(tail)}
        self.prompt_tokens = _first(numbers, _PROMPT)
        self.tokens = _first(numbers, _ANSWER)
        self.load_seconds = numbers.get("load_duration", 0) / 1e9
        self.prompt_seconds = numbers.get("prompt_eval_duration", 0) / 1e9
        self.answer_seconds = numbers.get("eval_duration", 0) / 1e9
        reasons = _REASON.findall(tail)
        self.reason = reasons[-1].decode() if reasons else None


def watch(client: Client, begin: Begin) -> None:
    """Have `begin` told of every request to a model that the client sends from now on."""
    for host in client.hosts:
        watch(host.client, begin)
    if client.hosts:
        return
    http: httpx.AsyncClient = client._client
    send = http.send

    async def watched(request: httpx.Request, **more: Any) -> httpx.Response:
        if request.method != "POST" or request.url.path not in ASKING:
            return await send(request, **more)
        exchange = begin(request.url.path, model_in(request.content))
        response = None
        try:
            response = await send(request, **more)
        finally:
            if response is None:
                exchange.ended(None)
        exchange.answered(response.status_code)
        body = _Body(response, exchange)
        if response.is_stream_consumed:
            body.see(response.content)
            body.end()
        else:
            response.stream = body
        return response

    http.send = watched  # type: ignore[method-assign]


class _Body(httpx.AsyncByteStream):
    """The body of an answer, passed on as it comes."""

    def __init__(self, response: httpx.Response, exchange: Exchange) -> None:
        self._stream = response.stream
        self._exchange = exchange
        kind = response.headers.get("content-type", "")
        self._mark = {"application/x-ndjson": b"\n", "text/event-stream": b"\n\n"}.get(
            kind.partition(";")[0].strip()
        )
        self._tail = b""
        self._is_whole = self._is_over = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        assert isinstance(self._stream, httpx.AsyncByteStream)  # noqa: S101 - for the type checker
        async for piece in self._stream:
            self.see(piece)
            yield piece
        self.end()

    def see(self, piece: bytes) -> None:
        """Look at a piece."""
        self._tail = (self._tail + piece)[-TAIL:]
        if self._mark is not None and (parts := piece.count(self._mark)):
            self._exchange.heard(parts)

    def end(self) -> None:
        """Be over, and whole."""
        self._is_whole = True
        self._close()

    async def aclose(self) -> None:
        """Be over, whole or not."""
        self._close()
        await self._stream.aclose()  # type: ignore[union-attr]

    def _close(self) -> None:
        if not self._is_over:
            self._is_over = True
            # who has read the last part need not have read the end of the stream
            end = End(self._tail)
            self._exchange.ended(end if self._is_whole or end.tokens is not None else None)


def model_in(body: bytes) -> str | None:
    """Return the model that a request names, as far as it can be read without much work."""
    if len(body) <= READ:
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            return None
        model = data.get("model") if isinstance(data, dict) else None
        return model if isinstance(model, str) else None
    found = _MODEL.search(body[:HEAD])
    return found[1].decode(errors="replace") if found else None


def _first(numbers: dict[str, int], names: tuple[str, ...]) -> int | None:
    return next((numbers[name] for name in names if name in numbers), None)
