"""What comes in over stdin, line by line, and an answer to what is no message.

The SDK reads lines of any length, and drops in silence what is not one message, so that whoever
sent it waits for ever: a batch, broken JSON, a request whose id is missing its quotes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, BinaryIO

import anyio
from anyio import to_thread
from mcp.server.stdio import stdio_server
from mcp.shared.message import SessionMessage
from mcp_types import INVALID_REQUEST, PARSE_ERROR, ErrorData, JSONRPCError
from pydantic import ValidationError

#: Largest message, in bytes, as over HTTP.
MAX_LINE = 64 * 2**20
#: What stands for a longer one; the end of stdin is no line at all.
TOO_LONG = ""
#: Bytes of it that are dropped at once.
PIECE = 2**16
#: Seconds after the end of stdin in which what is still to be said must have been read.
LAST = 5.0
#: What is told of an object that is no message.
FORM = 'a request has "jsonrpc": "2.0", an id, a method, and perhaps params, which are an object'


@asynccontextmanager
async def stdio() -> AsyncIterator[tuple[Any, Any]]:
    """Give the streams of messages, in and out, as the SDK's `stdio_server` does."""
    with stdin_spared() as wire:
        async with stdio_server(stdin=Lines(wire)) as (read, write):  # type: ignore[arg-type]
            yield Answering(read, write, end_soon), write


def end_soon() -> None:
    """End the process in a while: a host that is gone may leave its end of stdout open, unread."""
    timer = threading.Timer(LAST, os._exit, [0])
    timer.daemon = True
    timer.start()


@contextmanager
def stdin_spared() -> Iterator[BinaryIO]:
    """Give stdin; children, and what else reads there while we serve, find nothing.

    It is never closed: a thread may still sit in a read of it.
    """
    wire = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    try:
        yield os.fdopen(wire, "rb", closefd=False)
    finally:
        os.dup2(wire, 0)


class Lines:
    """The lines of a file, none longer than MAX_LINE."""

    def __init__(self, source: BinaryIO, most: int = MAX_LINE) -> None:
        self._source = source
        self._most = most

    def __aiter__(self) -> Lines:
        return self

    async def __anext__(self) -> str:
        line = await to_thread.run_sync(self.read)
        if line is None:
            raise StopAsyncIteration
        return line

    def read(self) -> str | None:
        """Return the next line; None at the end."""
        line = self._source.readline(self._most + 1)
        if len(line) <= self._most or line.endswith(b"\n"):
            return line.decode(errors="replace") if line else None
        while line and not line.endswith(b"\n"):
            line = self._source.readline(PIECE)
        return TOO_LONG


class Answering:
    """A stream of messages, in which each thing that is none has been answered and left out."""

    def __init__(self, read: Any, write: Any, at_end: Callable[[], None] | None = None) -> None:
        self._read = read
        self._write = write
        self._at_end = at_end

    @property
    def last_context(self) -> Any:
        """The context in which the last message was sent, as the SDK looks for it."""
        return self._read.last_context

    async def receive(self) -> SessionMessage:
        """Return the next message."""
        while not isinstance(item := await self._read.receive(), SessionMessage):
            if (error := refusal(item)) is not None:
                await self._write.send(SessionMessage(error))
        return item

    async def aclose(self) -> None:
        """Take no more."""
        await self._read.aclose()

    def __aiter__(self) -> Answering:
        return self

    async def __anext__(self) -> SessionMessage:
        try:
            return await self.receive()
        except anyio.EndOfStream:
            if self._at_end is not None:
                self._at_end()
            raise StopAsyncIteration from None

    async def __aenter__(self) -> Answering:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


def refusal(fault: Exception) -> JSONRPCError | None:
    """Return the answer to what is no message; None where nobody waits for one.

    Args:
        fault: what pydantic found wrong with the line.
    """
    if not isinstance(fault, ValidationError):
        return None
    faults = fault.errors(include_url=False)
    first = faults[0]
    if first["type"] == "json_invalid":
        if first["input"] == TOO_LONG:
            return error(INVALID_REQUEST, f"this line is longer than {MAX_LINE} bytes")
        if not first["input"].strip():
            return None
        return error(PARSE_ERROR, f"this line is not JSON: {first['ctx']['error']}")
    # A field that is missing is told with the object that lacks it.
    whole = next((one["input"] for one in faults if one["type"] == "missing"), first["input"])
    if isinstance(whole, list):
        return error(INVALID_REQUEST, "there are no batches: send each message on its own line")
    if not isinstance(whole, dict):
        return error(INVALID_REQUEST, "a message is one JSON object")
    if "result" in whole or "error" in whole:
        return None  # an answer to nothing that was asked
    told = whole.get("id")
    named = told if isinstance(told, str | int) and not isinstance(told, bool) else None
    return error(INVALID_REQUEST, FORM, named)


def error(code: int, message: str, named: str | int | None = None) -> JSONRPCError:
    """Return the answer that refuses the request of this id; of None if it is not known."""
    told = ErrorData(code=code, message=message)
    return JSONRPCError(jsonrpc="2.0", id=named, error=told)
