"""Serving: stdio for a host that starts us, Streamable HTTP for everyone else, and ending well."""

import asyncio
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from types import FrameType
from typing import Any

import anyio
import fastmcp.server.http as frame_http
import uvicorn
from fastmcp import FastMCP
from mcp.server.transport_security import RequestBodyLimitMiddleware
from sse_starlette.sse import AppStatus
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .app import App
from .auth import BearerGuard
from .errors import OllamaMCPError
from .settings import Settings

#: Largest request body, in bytes: pictures as base64. FastMCP's own limit is 4 MiB.
MAX_BODY = 64 * 2**20


@contextmanager
def stdout_spared() -> Iterator[None]:
    """Send to stderr what tool modules, or children of theirs, print while they are imported.

    Once it serves, the SDK does the same.
    """
    sys.stdout.flush()
    wire = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(wire, 1)
        os.close(wire)


def serve_stdio(server: FastMCP[Any]) -> None:
    """Serve one host over stdin and stdout until stdin closes."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what a tool prints comes to stderr at once
    anyio.run(lambda: server.run_stdio_async(show_banner=False))
    sys.stderr.flush()
    os._exit(0)  # a thread may still sit in a read of stdin, and would hold the process


def serve_http(server: FastMCP[Any], app: App) -> None:
    """Serve Streamable HTTP, `/health` and `/ready` until a signal."""
    settings = app.settings
    if settings.gateway:
        from .gateway.observability.logs import log_lines

        log_lines(settings.log_level)
    # sse-starlette would end every stream at the first signal, answers included.
    AppStatus.disable_automatic_graceful_drain()  # type: ignore[no-untyped-call]
    web = Running(build_web(server, app))
    config = uvicorn.Config(
        web,
        host=settings.host,
        port=settings.port,
        log_config=None,  # stdout stays clean: its records go where ours go
        lifespan="on",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=1,
    )
    anyio.run(_Server(config, web, settings).serve)


def build_web(server: FastMCP[Any], app: App) -> Any:
    """Return the ASGI app: the MCP endpoint and the probes, behind the Host, Origin and token.

    With the gateway, also its routes, behind its keys.
    """
    settings = app.settings

    @server.custom_route("/health", methods=["GET"])
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    @server.custom_route("/ready", methods=["GET"])
    async def ready(_: Request) -> Response:
        try:
            with anyio.fail_after(5):
                told = await app.client.request("GET", "/api/version")
        except (OllamaMCPError, TimeoutError) as error:
            hint = error.hint if isinstance(error, OllamaMCPError) else ""
            return JSONResponse({"status": "unavailable", "hint": hint}, 503)
        return JSONResponse({"status": "ok", "ollama": told.get("version")})

    _raise_body_limit()
    ways: dict[str, Any] = {"path": settings.path, "stateless_http": False, "json_response": False}
    if settings.gateway:
        from .gateway.app import build_gateway

        # whose guards stand before the MCP endpoint too
        return build_gateway(app, server, server.http_app(**ways, host_origin_protection=False))
    guards = [Middleware(BearerGuard, token=settings.auth_token)] if settings.auth_token else []
    return server.http_app(
        **ways,
        middleware=guards,
        host_origin_protection=True,
        allowed_hosts=list(settings.allowed_hosts),
        allowed_origins=list(settings.allowed_origins),
    )


def _raise_body_limit() -> None:
    """Take bodies up to MAX_BODY: FastMCP has no setting for the SDK's limit."""
    manager = frame_http.FastMCPStreamableHTTPSessionManager
    if getattr(manager, "max_body", None) == MAX_BODY:
        return

    class Manager(manager):  # type: ignore[misc, valid-type]
        max_body = MAX_BODY

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.asgi_app = RequestBodyLimitMiddleware(self._handle_request, MAX_BODY)

    frame_http.FastMCPStreamableHTTPSessionManager = Manager  # type: ignore[misc]


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

    def __init__(self, config: uvicorn.Config, running: Running, settings: Settings) -> None:
        super().__init__(config)
        self._running = running
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            host, port = self.servers[0].sockets[0].getsockname()[:2]
            shown = f"[{host}]" if ":" in host else host
            print(
                f"ollama-mcp-server: http://{shown}:{port}{self._settings.path}",
                file=sys.stderr,
                flush=True,
            )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:  # the second signal: at once
            os._exit(128 + sig)
        self.should_exit = True
        # uvicorn raises the first signal again when it has ended, which sets the exit status
        self._captured_signals.append(sig)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        with anyio.move_on_after(self._settings.shutdown_seconds):
            while self._running.requests:  # noqa: ASYNC110 - a few times, at the end
                await asyncio.sleep(0.02)
        # First the app, which ends the standing streams in good order; then the connections.
        AppStatus.should_exit = True
        await self.lifespan.shutdown()
        await super().shutdown(sockets)
