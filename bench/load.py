"""Chats over raw sockets, many at a time: no client's cost is measured."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import anyio

#: Seconds between the requests of a stroll.
PACE = 0.05
#: Seconds after its time that the last answers are waited for.
LATE = 10.0


@dataclass(frozen=True)
class Answer:
    """When an answer came, in seconds after its request was sent."""

    first: float
    whole: float


class RefusedError(Exception):
    """The server's words for that it does not answer."""


class Line:
    """One connection, over which requests go one after the other."""

    def __init__(self, url: str) -> None:
        place = urlsplit(url)
        self._place = place.hostname, place.port

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(*self._place)

    def close(self) -> None:
        """Hang up."""
        self._writer.close()

    async def ask(self, request: bytes) -> Answer:
        """Send a request, read its answer to the end, and return when it came.

        Raises:
            RefusedError: it is no answer of a model.
        """
        if self._reader.at_eof():  # servers close what is idle for some seconds
            self.close()
            await self.open()
        try:
            return await self._ask(request)
        except EOFError:
            raise RefusedError("the connection was closed") from None

    async def _ask(self, request: bytes) -> Answer:
        began = time.perf_counter()
        self._writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        body = await self._some()
        first = time.perf_counter() - began
        length = length_of(head)
        while not (body.endswith(b"0\r\n\r\n") if length is None else len(body) >= length):
            body += await self._some()
        if b'"done": true' not in body and b'"done":true' not in body:
            raise RefusedError(head.partition(b"\r\n")[0].decode())
        return Answer(first, time.perf_counter() - began)

    async def _some(self) -> bytes:
        if piece := await self._reader.read(2**16):
            return piece
        raise EOFError("the connection was closed")


@dataclass
class Load:
    """What came of asking as much as possible."""

    answers: list[Answer] = field(default_factory=list)
    asked: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answers a second."""
        return len(self.answers) / self.seconds

    @property
    def unanswered(self) -> int:
        """Requests that were refused, broke off, or took too long."""
        return self.asked - len(self.answers)

    async def add(self, line: Line, request: bytes) -> None:
        """Ask, and note what came of it."""
        self.asked += 1
        with suppress(RefusedError):
            self.answers.append(await line.ask(request))


def length_of(head: bytes) -> int | None:
    """Return how long a body is; None if it comes in chunks."""
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line.partition(b":")[2])
    return None


def request(url: str, body: Mapping[str, Any]) -> bytes:
    """Return a chat with the daemon, or with what stands before it."""
    content = json.dumps(body).encode()
    head = (
        "POST /api/chat HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
    )
    return "\r\n".join((*head, "", "")).encode() + content


@asynccontextmanager
async def lines(url: str, number: int) -> AsyncIterator[list[Line]]:
    """Open a number of connections, and close them in the end."""
    opened = [Line(url) for _ in range(number)]
    await asyncio.gather(*(line.open() for line in opened))
    try:
        yield opened
    finally:
        for line in opened:
            line.close()


async def hammer(url: str, body: Mapping[str, Any], number: int, seconds: float) -> Load:
    """Ask over so many connections, each again as soon as it has its answer.

    What is not answered LATE seconds after the time is left.
    """
    sent, load = request(url, body), Load()

    async def go_on(line: Line) -> None:
        while time.perf_counter() < began + seconds:
            await load.add(line, sent)

    async with lines(url, number) as opened:
        began = time.perf_counter()
        with anyio.move_on_after(seconds + LATE):
            await asyncio.gather(*map(go_on, opened))
        load.seconds = time.perf_counter() - began
    return load


async def stroll(url: str, body: Mapping[str, Any], number: int, asks: int) -> Load:
    """Ask so many times at an even pace, each time over the next connection of all the open ones.

    So nothing waits for its turn, as long as an answer takes less than PACE.
    """
    sent, load = request(url, body), Load()
    async with lines(url, number) as opened:
        with anyio.move_on_after(asks * PACE + LATE):
            for turn in range(asks):
                await asyncio.gather(asyncio.sleep(PACE), load.add(opened[turn % number], sent))
    return load
