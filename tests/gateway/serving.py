"""The gateway on a real socket, in the loop of the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from fastmcp import FastMCP

from ollama_mcp_server.app import App
from ollama_mcp_server.gateway.app import build_gateway


@asynccontextmanager
async def served(app: App, *, token: str = "") -> AsyncIterator[httpx.AsyncClient]:
    """Serve an App's gateway, beside an MCP server without tools, and give a client of it."""
    server: FastMCP[Any] = FastMCP("empty")
    web = build_gateway(app, server, server.http_app(host_origin_protection=False))
    config = uvicorn.Config(
        web, port=0, log_config=None, ws="none", lifespan="on", server_header=False
    )
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110
        await asyncio.sleep(0.005)
    host, port = running.servers[0].sockets[0].getsockname()[:2]
    headers = {"authorization": f"Bearer {token}"} if token else {}
    url = f"http://{host}:{port}"
    try:
        async with httpx.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            yield client
    finally:
        running.should_exit = running.force_exit = True
        await serving


@dataclass
class Tap:
    """A daemon that takes every request down byte by byte, and answers as it is told."""

    answers: Sequence[bytes]
    requests: list[bytes] = field(default_factory=list)
    #: Set when a client has hung up before the end of its request or answer.
    left: asyncio.Event = field(default_factory=asyncio.Event)
    #: When set, the rest of an answer follows.
    on: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _handlers: set[asyncio.Task[Any]] = field(default_factory=set)

    async def hang_up(self) -> None:
        """Close what is still open."""
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers)

    @property
    def request(self) -> bytes:
        """The one request that there was."""
        assert len(self.requests) == 1, self.requests
        return self.requests[0]

    @property
    def headers(self) -> dict[str, str]:
        """Its headers."""
        lines = self.request.partition(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")[1:]
        return {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.current_task()
        assert handler is not None
        self._handlers.add(handler)
        with suppress(asyncio.CancelledError):
            await self._handle(reader, writer)
        writer.close()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(said)
        lower = said.lower()
        if b"content-length: " in lower:
            size = int(lower.partition(b"content-length: ")[2].split(b"\r\n")[0])
            while size and (more := await reader.read(size)):
                self.requests[-1] += more
                size -= len(more)
            if size:
                self.left.set()
        for number, piece in enumerate(self.answers):
            if number:
                await self.on.wait()
            writer.write(piece)
            await writer.drain()
        if not await reader.read(1):
            self.left.set()


@asynccontextmanager
async def tapped(*answers: bytes) -> AsyncIterator[Tap]:
    """Serve a Tap."""
    tap = Tap(answers)
    server = await asyncio.start_server(tap, "127.0.0.1", 0)
    tap.url = "http://{}:{}".format(*server.sockets[0].getsockname())
    try:
        yield tap
    finally:
        server.close()
        await tap.hang_up()
