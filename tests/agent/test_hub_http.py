"""Servers over Streamable HTTP: FastMCP's own on a loopback port, which wants a header."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastmcp import Context, FastMCP
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler, ToolsListChanged
from mcp_types import SubscriptionsListenRequestParams, ToolAnnotations, ToolListChangedNotification
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse

from ollama_mcp_server.agent.definitions.documents import Definition, parse_definitions
from ollama_mcp_server.agent.servers.hub import Hub
from ollama_mcp_server.errors import TimedOut, ToolFailed
from tests.agent.servers.test_hub import names, said, until

KEY = "k3y-of-the-test"
READS = ToolAnnotations(read_only_hint=True)


class Gate:
    """Lets in who has the key, and where it is told to, nobody who asks in the way of 2026."""

    def __init__(self, app: Any, era: str) -> None:
        self.app, self.era = app, era

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = dict(scope.get("headers") or [])
        if scope["type"] == "http" and headers.get(b"x-key") != KEY.encode():
            await PlainTextResponse(f"no {KEY}", 401)(scope, receive, send)
        elif self.era == "legacy" and headers.get(b"mcp-protocol-version", b"").startswith(b"2026"):
            await PlainTextResponse("what is that", 400)(scope, receive, send)
        else:
            await self.app(scope, receive, send)


class Site:
    """A server with a tool for each thing that can happen."""

    def __init__(self, era: str, *, tells: bool = False) -> None:
        self.era = era
        self.bus = InMemorySubscriptionBus()
        self.listening = ListenHandler(self.bus)
        self.cancelled = False
        self.mcp = mcp = FastMCP("site", version="1")
        if tells:
            low_level: Any = mcp._mcp_server
            low_level.add_request_handler(
                "subscriptions/listen", SubscriptionsListenRequestParams, self.listening
            )

        @mcp.tool(annotations=READS)
        def add(a: int, b: int) -> int:
            return a + b

        @mcp.tool
        async def wait() -> None:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled = True
                raise

        @mcp.tool
        async def grow(ctx: Context) -> None:
            mcp.tool(lambda: "new", name="grown")
            await self.bus.publish(ToolsListChanged())
            if self.era == "legacy":
                await ctx.send_notification(ToolListChangedNotification())

    @asynccontextmanager
    async def open(self, port: int = 0) -> AsyncIterator[int]:
        """Serve, on a free port if none is given; yield which."""
        app = self.mcp.http_app(middleware=[Middleware(Gate, era=self.era)])
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            config = uvicorn.Config(
                app, log_level="critical", timeout_graceful_shutdown=1, ws="none", lifespan="on"
            )
            server = uvicorn.Server(config)
            serving = asyncio.create_task(server.serve([listener]))
            await until(lambda: server.started)
            try:
                yield listener.getsockname()[1]
            finally:
                self.listening.close()
                server.should_exit = True
                await serving


def definition(port: int, key: str = KEY) -> Definition:
    entry = {"name": "site", "url": f"http://127.0.0.1:{port}/mcp", "headers": {"X-Key": key}}
    return parse_definitions(json.dumps([entry]), "the test")[0]


@pytest.fixture
async def hub() -> AsyncIterator[Hub]:
    hub = Hub(os.environ)
    yield hub
    await hub.aclose()


@pytest.fixture(params=["legacy", "modern"])
async def site(request: pytest.FixtureRequest) -> Site:
    return Site(request.param)


async def test_it_is_asked_with_its_header(site: Site, hub: Hub) -> None:
    async with site.open() as port, hub.lease([definition(port)], None) as lease:
        assert names(lease) == {"site": ["add", "wait", "grow"]}
        assert await said(lease, "site", "add", a=1, b=2) == "3"
        version = hub._connections[0]._link.client.protocol_version
        assert version.startswith("2026" if site.era == "modern" else "2025")


async def test_a_wrong_key_is_said_to_be_and_not_told(site: Site, hub: Hub) -> None:
    async with site.open() as port, hub.lease([definition(port, "wr0ng-key")], None) as lease:
        why = lease.down[0].error or ""
    assert "HTTP 401; check its headers" in why
    assert "wr0ng-key" not in why
    assert KEY not in why


async def test_a_call_that_takes_too_long_is_stopped_there(site: Site, hub: Hub) -> None:
    async with site.open() as port, hub.lease([definition(port)], None) as lease:
        with pytest.raises(TimedOut, match="site:wait gave no answer"):
            await lease.call("site", "wait", {}, 0.5)
        await until(lambda: site.cancelled)
        assert await said(lease, "site", "add", a=1, b=2) == "3"


async def test_a_refused_call_is_told(site: Site, hub: Hub) -> None:
    async with site.open() as port, hub.lease([definition(port)], None) as lease:
        result = await lease.call("site", "add", {"a": "x", "b": 1}, 5)
        assert result.is_error
        assert lease.down == []


async def test_one_that_was_started_anew_is_connected_to_again(site: Site, hub: Hub) -> None:
    async with site.open() as port, hub.lease([definition(port)], None):
        pass
    async with Site(site.era).open(port), hub.lease([definition(port)], None) as lease:
        assert await said(lease, "site", "add", a=1, b=2) == "3"


async def test_one_that_has_gone_is_down_with_a_reason(site: Site, hub: Hub) -> None:
    async with site.open() as port, hub.lease([definition(port)], None) as lease:
        assert lease.down == []
    async with hub.lease([definition(port)], None) as lease:
        with pytest.raises(ToolFailed):
            await lease.call("site", "add", {"a": 1, "b": 2}, 5)
        assert [status.state for status in lease.down] == ["down"]


async def test_new_tools_are_seen(site: Site, hub: Hub) -> None:
    async with site.open() as port:
        async with hub.lease([definition(port)], None) as lease:
            await lease.call("site", "grow", {}, 5)
            if site.era == "legacy":  # the other does not tell; the next lease looks
                await until(lambda: "grown" in names(lease)["site"])
        async with hub.lease([definition(port)], None) as lease:
            assert "grown" in names(lease)["site"]


async def test_new_tools_are_told_of_in_the_way_of_2026(hub: Hub) -> None:
    site = Site("modern", tells=True)
    async with site.open() as port, hub.lease([definition(port)], None) as lease:
        await until(lambda: hub._connections[0].listing.is_told)
        await asyncio.sleep(0.3)
        await lease.call("site", "grow", {}, 5)
        await until(lambda: "grown" in names(lease)["site"])
