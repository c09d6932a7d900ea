"""A recorder: an HTTP proxy in front of a daemon that keeps what was asked and answered.

It streams, and a client that leaves is felt by the daemon at once.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

from .listener import Listener


@dataclass
class Exchange:
    """One request and, as far as it has come, its response."""

    method: str
    path: str
    headers: dict[str, str]
    """Of the request, names in lower case."""
    body: bytes
    finished: bool = False
    """The whole response has passed."""
    abandoned: bool = False
    """The client left before the response ended."""
    _response: bytearray = field(default_factory=bytearray, repr=False)

    @property
    def json(self) -> Any:
        """The request's body as JSON, None if it is empty; raises ValueError if it is not JSON."""
        return json.loads(self.body) if self.body else None

    @property
    def status(self) -> int:
        """Status of the response, 0 before it came."""
        return int(self._response.split(b" ", 2)[1]) if b"\r\n\r\n" in self._response else 0

    @property
    def response(self) -> bytes:
        """The body of the response so far."""
        head, _, body = bytes(self._response).partition(b"\r\n\r\n")
        return _join_chunks(body) if b"transfer-encoding: chunked" in head.lower() else body

    @property
    def lines(self) -> list[Any]:
        """The lines of the response so far, each parsed as JSON."""
        lines = self.response.split(b"\n")
        if not self.finished:
            lines.pop()  # not all of it is here
        return [json.loads(line) for line in lines if line.strip()]


class Recorder(Listener):
    """The proxy; `exchanges` are in the order in which the requests came."""

    def __init__(self, target: str) -> None:
        """Start recording what is sent to `target`."""
        self.exchanges: list[Exchange] = []
        super().__init__(target)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Forward one request; the connection is closed after it."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.rstrip().split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in rest)
        }
        body = await _read_body(reader, headers)
        method, path, _ = first.split(" ")
        exchange = Exchange(method, path, headers, body)
        self.exchanges.append(exchange)
        forwarded = {
            **headers,
            "connection": "close",
            "content-length": str(len(body)),
            "transfer-encoding": "",
        }
        lines = [first, *(f"{name}: {value}" for name, value in forwarded.items() if value), "", ""]
        from_daemon, to_daemon = await asyncio.open_connection(*self.target)
        to_daemon.write("\r\n".join(lines).encode("latin-1") + body)
        relay = asyncio.create_task(_relay(from_daemon, writer, exchange))
        # a client that waits for an answer sends nothing, so a read ends only when it leaves
        leave = asyncio.create_task(reader.read(1))
        try:
            await asyncio.wait([relay, leave], return_when=asyncio.FIRST_COMPLETED)
            exchange.abandoned = not exchange.finished
        finally:
            to_daemon.transport.abort()
            for task in (relay, leave):
                task.cancel()
            await asyncio.gather(relay, leave, return_exceptions=True)


def start(target: str) -> Recorder:
    """Put a recorder in front of `target`, a URL or host:port; its own address is `.url`."""
    return Recorder(target)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", 0)))
    chunks = b""
    while size := int(await reader.readuntil(b"\r\n"), 16):
        chunks += (await reader.readexactly(size + 2))[:-2]
    await reader.readuntil(b"\r\n")
    return chunks


async def _relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, exchange: Exchange
) -> None:
    while data := await reader.read(1 << 16):
        exchange._response += data
        writer.write(data)
        await writer.drain()
    exchange.finished = True


def _join_chunks(body: bytes) -> bytes:
    """Undo HTTP's chunked coding of a body that may not be complete."""
    joined = b""
    while body:
        size, _, rest = body.partition(b"\r\n")
        if not rest:
            break
        length = int(size, 16)
        joined += rest[:length]
        body = rest[length + 2 :]
    return joined
