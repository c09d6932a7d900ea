"""Requests that go to the daemon as they are, and its answers as they come."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from ...errors import InvalidArgument
from .outlet import MAX_BODY, Intake, Outlet, answer

if TYPE_CHECKING:
    from ..access.caller import Caller
    from ..gate import Gate

#: Bytes of one blob, which is never held in memory: larger than any model there is.
MAX_BLOB = 2 * 2**40
#: Fields of a request that name models.
NAMES = frozenset(("model", "name", "from", "source", "destination"))
#: The end of an answer, in which its tokens are counted.
_TAIL = 2048
_COUNT = re.compile(
    rb'"(prompt_eval_count|eval_count|prompt_tokens|completion_tokens|input_tokens|output_tokens)"'
    rb"\s*:\s*(\d+)"
)


class Relay:
    """ASGI app: routes of the daemon's, as the daemon has them.

    Of what is said, nothing is changed in either direction; see `daemon.relay` for the headers.
    """

    def __init__(self, gate: Gate, *, waits: bool = False, streams: bool = False) -> None:
        """Relay to the gate's daemon.

        Args:
            gate: what the routes share.
            waits: a model is asked, so that the request needs a place at the daemon.
            streams: the body is a blob, and passed on in pieces.
        """
        self.gate = gate
        self._waits = waits
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        intake = Intake(receive, MAX_BLOB if self._streams else MAX_BODY)

        async def work(outlet: Outlet) -> None:
            if self._streams:
                await self.relay(scope, intake.pieces(), outlet)
            else:
                await self.work(scope, await intake.whole(), outlet)

        await answer(scope, intake, send, work)

    async def work(self, scope: Scope, body: bytes, outlet: Outlet) -> None:
        """Answer a request whose body was read.

        Raises:
            OllamaMCPError: the caller may not use the model, or the daemon cannot be reached.
        """
        caller: Caller = scope["state"]["caller"]
        if caller.models is not None:
            for model in named(body):
                caller.check_model(model)
        await self.relay(scope, body, outlet, model_of(body) if self._waits else None)

    async def relay(
        self,
        scope: Scope,
        content: bytes | AsyncIterator[bytes],
        outlet: Outlet,
        model: str | None = None,
    ) -> None:
        """Ask the daemon, in a place of the line if a model is asked, and pass its answer on.

        Raises:
            OllamaMCPError: there is no place, or the daemon cannot be reached.
        """
        from ...daemon.relay import passed_on  # here, for httpx need not be loaded at the start

        path, query = scope.get("raw_path") or scope["path"].encode(), scope["query_string"]
        target = (path + b"?" + query if query else path).decode("latin-1")
        told, client = scope["headers"], self.gate.app.client
        async with AsyncExitStack() as stack:
            place, meter = None, Meter()
            if self._waits:
                limits, caller = self.gate.limits, scope["state"]["caller"]
                place = await stack.enter_async_context(limits.place(caller, model))
            try:
                async with passed_on(client, scope["method"], target, told, content) as reply:
                    outlet.start(reply.status, reply.headers)
                    async for piece in reply.pieces:
                        meter.see(piece)
                        await outlet.write(piece)
            finally:
                if place is not None:
                    place.count(meter.tokens)


class Meter:
    """Counts the tokens of an answer that passes by."""

    def __init__(self) -> None:
        self._pieces = 0
        self._tail = b""

    def see(self, piece: bytes) -> None:
        """Look at a piece of the answer."""
        self._pieces += 1
        self._tail = (self._tail + piece)[-_TAIL:]

    @property
    def tokens(self) -> int:
        """The tokens of prompt and answer, as its end tells; else about those that were said."""
        counts = {match[1]: int(match[2]) for match in _COUNT.finditer(self._tail)}
        return sum(counts.values()) if counts else max(0, self._pieces - 1)


def read(body: bytes) -> Any:
    """Return a body as data; None where it is no JSON, which the daemon will say."""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def model_of(body: bytes) -> str | None:
    """Return the model that a request asks, as far as it can be read."""
    data = read(body)
    model = data.get("model") if isinstance(data, dict) else None
    return model if isinstance(model, str) else None


def named(body: bytes) -> list[str]:
    """Return every model that a request names.

    The daemon takes a field in any case, and the last of several; so all of them count.

    Raises:
        InvalidArgument: it cannot be read, so that nobody knows.
    """
    if not body.strip():
        return []

    class Pairs(list[Any]):
        """An object, with what stands twice in it."""

    try:
        data = json.loads(body, object_pairs_hook=Pairs)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, Pairs):
        raise InvalidArgument(
            "the request is no JSON object", "This key may use some models only: send plain JSON"
        )
    return [value for name, value in data if name.casefold() in NAMES and isinstance(value, str)]
