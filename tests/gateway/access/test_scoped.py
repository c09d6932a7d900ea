"""What a key may do over MCP, through the whole web app, in both eras."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import McpError

from ollama_mcp_server.app import App
from ollama_mcp_server.errors import PermissionDenied
from ollama_mcp_server.gateway.access.keyfile import make
from ollama_mcp_server.gateway.access.scoped import Scoped, defines_servers, who
from ollama_mcp_server.gateway.traffic.limits import Limits
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from ollama_mcp_server.transport.web import build_web
from tests.conftest import CHAT, HELLO, THINKER
from tests.fake_ollama import FakeOllama

KEYS = {
    "reader": make("reader", scopes=("read",)),
    "asker": make("asker", scopes=("infer",), requests_per_minute=3),
    "keeper": make("keeper", scopes=("manage",)),
    "agent": make("agent", scopes=("agent",)),
    "one": make("one", scopes=("read", "infer", "manage"), models=(CHAT,)),
    "spender": make("spender", scopes=("infer",), tokens_per_minute=5),
    "admin": make("admin", scopes=("admin",)),
}
ERAS = pytest.mark.parametrize("era", ["legacy", "auto"])


class House:
    """A whole web app behind its guard, and clients of it with a key each."""

    def __init__(self, web: Any, limits: Limits) -> None:
        self.web = web
        self.limits = limits

    def client(self, name: str, era: str = "auto") -> Client[Any]:
        def http(**given: Any) -> httpx.AsyncClient:
            given.pop("transport", None)
            return httpx.AsyncClient(transport=httpx.ASGITransport(self.web), **given)

        headers = {"Authorization": f"Bearer {KEYS[name][0]}"}
        transport = StreamableHttpTransport(
            "http://127.0.0.1:8000/mcp", headers=headers, httpx_client_factory=http
        )
        return Client(transport, mode=era)


@asynccontextmanager
async def house_of(daemon: FakeOllama, **settings: Any) -> AsyncIterator[House]:
    keys = json.dumps([key.model_dump(mode="json") for _, key in KEYS.values()])
    app = App(Settings(ollama_host=daemon.url, toolsets="all", keys=keys, **settings))
    server = build_server(app)
    web = build_web(server, app)
    (scoped,) = [one for one in server.middleware if isinstance(one, Scoped)]
    assert scoped.limits is not None
    async with web.router.lifespan_context(web):
        yield House(web, scoped.limits)


@pytest.fixture
async def house(daemon: FakeOllama) -> AsyncIterator[House]:
    """Serve in a task of its own: a fixture is begun and ended in two, which a lifespan is not."""
    opened: asyncio.Future[House] = asyncio.get_running_loop().create_future()
    over = asyncio.Event()

    async def serve() -> None:
        async with house_of(daemon) as house:
            opened.set_result(house)
            await over.wait()

    serving = asyncio.create_task(serve())
    yield await opened
    over.set()
    await serving


async def error_of(client: Client[Any], tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments, raise_on_error=False)
    assert result.is_error, result
    return result.structured_content["error"]["code"]


@ERAS
async def test_a_key_without_manage_deletes_nothing(
    house: House, daemon: FakeOllama, era: str
) -> None:
    for name in ("reader", "asker", "agent"):
        async with house.client(name, era) as client:
            assert await error_of(client, "ollama_delete", model=CHAT) == "permission_denied"
    assert not [one for one in daemon.requests if one.path == "/api/delete"]


@ERAS
async def test_a_key_is_shown_what_it_may_call(house: House, era: str) -> None:
    async def tools(name: str) -> set[str]:
        async with house.client(name, era) as client:
            return {tool.name for tool in await client.list_tools()}

    reader, asker, keeper, admin = [
        await tools(name) for name in ("reader", "asker", "keeper", "admin")
    ]
    assert reader == {
        "ollama_list",
        "ollama_show",
        "ollama_ps",
        "ollama_job",
        "ollama_conversations",
    }
    assert {"ollama_chat", "ollama_embed", "ollama_load", "ollama_job"} <= asker
    assert not {"ollama_delete", "ollama_list", "ollama_agent"} & asker
    assert {"ollama_delete", "ollama_pull", "ollama_push"} <= keeper
    assert "ollama_chat" not in keeper
    assert reader | asker | keeper < admin


@ERAS
async def test_calls_that_are_allowed_are_answered(
    house: House, daemon: FakeOllama, era: str
) -> None:
    async with house.client("reader", era) as client:
        assert not (await client.call_tool("ollama_list", {})).is_error
    async with house.client("asker", era) as client:
        result = await client.call_tool("ollama_chat", {"model": CHAT, "messages": HELLO})
        assert result.structured_content["content"]
    assert house.limits.present() == {}


async def test_an_unknown_tool_is_told_as_ever(house: House) -> None:
    async with house.client("reader") as client:
        with pytest.raises(McpError, match=r"Unknown tool.*Did you mean"):
            await client.call_tool("ollama_lists", {})


@ERAS
async def test_resources_and_prompts_have_their_scopes(house: House, era: str) -> None:
    async with house.client("reader", era) as client:
        listed = {str(one.uri) for one in await client.list_resources()}
        assert "ollama://running" in listed
        assert "ollama://servers" not in listed
        await client.read_resource("ollama://running")
        assert await client.list_prompts() == []
        with pytest.raises(McpError, match="no scope infer"):
            await client.get_prompt("delegate", {"task": "x"})
        with pytest.raises(McpError, match="no scope agent"):
            await client.read_resource("ollama://servers")
    async with house.client("asker", era) as client:
        with pytest.raises(McpError, match="no scope read"):
            await client.read_resource("ollama://running")
        assert await client.list_prompts()
        templates = {one.uri_template for one in await client.list_resource_templates()}
        assert not [uri for uri in templates if uri.startswith("ollama://models")]


async def test_a_key_for_some_models_has_those_only(daemon: FakeOllama) -> None:
    aliases = f"fast={CHAT},deep={THINKER}"
    profiles = {"mine": {"model": CHAT}, "theirs": {"model": THINKER}}
    async with (
        house_of(daemon, aliases=aliases, profiles=profiles) as house,
        house.client("one") as client,
    ):
        for model in (CHAT, "fast", "mine"):
            arguments = {"model": model, "messages": HELLO}
            assert not (await client.call_tool("ollama_chat", arguments)).is_error
        denied = "permission_denied"
        for model in (THINKER, "deep", "theirs", "nothing"):
            told = await error_of(client, "ollama_chat", model=model, messages=HELLO)
            assert told == denied
        assert await error_of(client, "ollama_chat", messages=HELLO) == denied
        assert await error_of(client, "ollama_chat", name=THINKER, messages=HELLO) == denied
        assert await error_of(client, "ollama_delete", model=THINKER) == denied
        create = {"model": CHAT, "from": THINKER}
        assert await error_of(client, "ollama_create", **create) == denied
        copy = {"source": THINKER, "destination": CHAT}
        assert await error_of(client, "ollama_copy", **copy) == denied
        assert not (await client.call_tool("ollama_list", {})).is_error
    assert THINKER not in str([one.body for one in daemon.requests])


async def test_the_limits_of_a_key_hold_over_mcp_too(house: House) -> None:
    arguments = {"model": CHAT, "messages": HELLO}
    async with house.client("asker") as client:
        for _ in range(3):
            await client.call_tool("ollama_chat", arguments)
        assert await error_of(client, "ollama_chat", **arguments) == "rate_limited"
    async with house.client("spender") as client:
        result = await client.call_tool("ollama_chat", arguments)
        usage = result.structured_content["usage"]
        assert usage["prompt_tokens"] + usage["completion_tokens"] > 5
        assert await error_of(client, "ollama_chat", **arguments) == "rate_limited"


@pytest.mark.parametrize(
    ("servers", "defines"),
    [
        (None, False),
        ("fs", False),
        (["fs", "git"], False),
        ('["fs"]', False),
        ([{"name": "x", "command": "sh"}], True),
        (["fs", {"name": "x"}], True),
        ('[{"name": "x"}]', True),
        ('{"name": "x"}', True),
        (['{"name": "x"}'], True),
    ],
)
def test_servers_that_a_call_defines_are_seen(servers: Any, defines: bool) -> None:
    assert defines_servers({"servers": servers}) is defines


async def test_only_an_admin_defines_servers_in_a_call(daemon: FakeOllama) -> None:
    arguments = {"task": "x", "model": CHAT, "servers": [{"name": "x", "command": "false"}]}
    async with house_of(daemon, allow_inline_servers=True) as house:
        async with house.client("agent") as client:
            assert await error_of(client, "ollama_agent", **arguments) == "permission_denied"
        async with house.client("admin") as client:
            assert await error_of(client, "ollama_agent", **arguments) != "permission_denied"


async def test_a_session_is_its_keys_alone(house: House) -> None:
    initialize = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {
            "protocolVersion": "2025-06-18",
            "capabilities": {},
            "clientInfo": {"name": "x", "version": "1"},
        },
    }
    accept = {"Accept": "application/json, text/event-stream"}

    def key(name: str) -> dict[str, str]:
        return {**accept, "Authorization": f"Bearer {KEYS[name][0]}"}

    transport = httpx.ASGITransport(house.web)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000") as client:
        begun = await client.post("/mcp", json=initialize, headers=key("admin"))
        session = {"Mcp-Session-Id": begun.headers["mcp-session-id"]}
        ask = {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        stolen = await client.post("/mcp", json=ask, headers={**key("reader"), **session})
        assert stolen.status_code == 404
        own = await client.post("/mcp", json=ask, headers={**key("admin"), **session})
        assert own.status_code == 200


async def test_callers_side_by_side_are_not_mixed_up(house: House) -> None:
    async def outcome(name: str, era: str) -> bool:
        async with house.client(name, era) as client:
            told = await client.call_tool("ollama_show", {"model": CHAT}, raise_on_error=False)
            return told.is_error

    names = ["reader", "keeper", "admin", "agent"] * 3
    tasks = [outcome(name, era) for name in names for era in ("legacy", "auto")]
    failed = await asyncio.gather(*tasks)
    assert failed == [name in ("keeper", "agent") for name in names for _ in range(2)]


def test_nobody_is_nobody() -> None:
    with pytest.raises(PermissionDenied, match="nobody knows who calls"):
        who()
