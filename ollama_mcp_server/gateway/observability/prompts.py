"""What is asked and answered, in the log: only where the operator wants it there."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .logs import unsigned

#: One line of it for every request with a body.
log = logging.getLogger("ollama_mcp_server.gateway.prompts")

#: Bytes of a body that are kept for the log; of a longer one only the size is told.
MOST = 2**20
#: Characters of one text in it; pictures, as base64, are longer.
LONGEST = 20_000
#: Fields whose values are nobody's business.
_SECRET = frozenset(
    "headers env authorization api_key apikey token password secret x-api-key".split()  # noqa: SIM905
)


class Prompts:
    """ASGI middleware: logs what was asked, and what was answered, with the request's id."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        log.setLevel(logging.INFO)  # whatever the others' level is: it was asked for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        if scope["type"] != "http" or scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        asked, said, kind = Body(), Body(), ""

        async def heard() -> Message:
            message = await receive()
            asked.add(message.get("body", b""))
            return message

        async def told(message: Message) -> None:
            nonlocal kind
            if message["type"] == "http.response.start":
                headers = dict(message.get("headers", ()))
                kind = headers.get(b"content-type", b"").decode("latin-1")
            said.add(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, heard, told)
        finally:
            fields = {"path": scope["path"], "prompt": asked.text(), "answer": said.text(kind)}
            log.info("prompt and answer of %s", scope["path"], extra={"fields": fields})


class Body:
    """The body of a request or an answer, as far as it is kept."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Keep a piece, if it is not too much already."""
        self._size += len(piece)
        if self._size <= MOST:
            self._pieces.append(piece)
        else:
            self._pieces.clear()

    def text(self, kind: str = "") -> str:
        """Return it without secrets: a stream's text in one, anything else as JSON; or its size."""
        try:
            if self._size <= MOST:
                return unsigned(_text(b"".join(self._pieces), kind))
        except (ValueError, RecursionError):
            pass
        return f"({self._size} bytes)"


def _text(body: bytes, kind: str) -> str:
    if kind.startswith("text/event-stream"):
        lines = [line[5:].strip() for line in body.splitlines() if line.startswith(b"data:")]
    elif kind.startswith("application/x-ndjson"):
        lines = body.splitlines()
    else:
        return _shown(json.loads(body)) if body.strip() else ""
    parts = [json.loads(line) for line in lines if line.startswith(b"{")]
    text = "".join(piece for part in parts for piece in pieces(part))
    return text[:LONGEST] if text or not parts else _shown(parts[-1])


def pieces(part: Any) -> Iterator[str]:
    """Yield the texts that one object of a stream adds, in any of the APIs."""
    if not isinstance(part, dict):
        return
    choices = part.get("choices")
    places = [part, part.get("message"), part.get("delta")]
    if isinstance(choices, list) and choices and isinstance(choices[0], dict):
        places += [choices[0], choices[0].get("delta")]
    for place in places:
        if isinstance(place, str) and part.get("type") == "response.output_text.delta":
            yield place
        if isinstance(place, dict):
            texts = (place.get(name) for name in ("content", "response", "text"))
            yield from (text for text in texts if isinstance(text, str))
            if calls := place.get("tool_calls"):
                yield _shown(calls)


def _shown(data: Any) -> str:
    return json.dumps(spared(data), ensure_ascii=False)


def spared(data: Any) -> Any:
    """Return data without the values of secret fields, and without the length of pictures."""
    if isinstance(data, dict):
        return {
            name: "…" if name.lower() in _SECRET else spared(held) for name, held in data.items()
        }
    if isinstance(data, list):
        return [spared(held) for held in data]
    if isinstance(data, str) and (len(data) > LONGEST or data.startswith("data:")):
        return f"({len(data)} characters)"
    return data
