"""Serving over HTTP until a signal, and letting running answers end."""

import asyncio
import os
import signal
import socket
from types import FrameType
from typing import Any

import anyio
import uvicorn
from fastmcp import FastMCP
from sse_starlette.sse import AppStatus
from starlette.types import ASGIApp, Receive, Scope, Send

from ..app import App
from ..settings import Settings
from .listening import announce
from .punctual import Punctual
from .web import build_web


def serve_http(server: FastMCP[Any], app: App, listener: socket.socket | None = None) -> None:
    """Serve Streamable HTTP, `/health` and `/ready` until a signal.

    Args:
        server: the MCP server.
        app: whose settings count.
        listener: a socket that several processes listen to; this is one of them, and another
            tells where, and hears of Ctrl-C.
    """
    settings = app.settings
    if settings.gateway:
        from ..gateway.observability.logs import log_lines

        log_lines(settings.log_level)
    # sse-starlette would end every stream at the first signal, answers included.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    web = Running(build_web(server, app))
    config = uvicorn.Config(
        web,
        host=settings.host,
        port=settings.port,
        log_config=None,  # stdout stays clean: its records go where ours go
        access_log=False,  # its lines have the query
        lifespan="on",
        http=Punctual,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    served = _Server(config, web, settings)
    if listener is None:
        anyio.run(served.serve)
    else:
        served.is_one_of_many = True
        anyio.run(served.serve, [listener])


class Running:
    """ASGI middleware that knows how many requests are being answered.

    Standing streams (GET in the older era, else subscriptions/listen) are not counted: they end
    only with the server.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.requests = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on."""
        counts = scope["type"] == "http" and scope["method"] != "GET"
        counts = counts and (b"mcp-method", b"subscriptions/listen") not in scope["headers"]
        self.requests += counts
        try:
            await self.app(scope, receive, send)
        finally:
            self.requests -= counts


class _Server(uvicorn.Server):
    """uvicorn, which says where it listens, and lets running answers end before it goes."""

    is_one_of_many = False

    def __init__(self, config: uvicorn.Config, running: Running, settings: Settings) -> None:
        super().__init__(config)
        self._running = running
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.is_one_of_many:
            announce(self.servers[0].sockets[0], self._settings.path)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.is_one_of_many and sig == signal.SIGINT:
            return  # a terminal tells all; who started this one says when to end
        if self.should_exit:  # the second signal: at once
            os._exit(128 + sig)
        self.should_exit = True
        # uvicorn raises the first signal again when it has ended, which sets the exit status
        self._captured_signals.append(sig)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        # Those that are idle end, the others after their answer: nothing new comes in by them.
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(self._settings.shutdown_seconds):
            while self._running.requests:  # noqa: ASYNC110 - a few times, at the end
                await asyncio.sleep(0.02)
        # First the app, which ends the standing streams in good order; then the connections.
        AppStatus.should_exit = True
        await self.lifespan.shutdown()
        await super().shutdown(sockets)
