"""What each route, tool and resource needs; what nobody has thought of is closed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fastmcp import FastMCP

from ollama_mcp_server.app import App
from ollama_mcp_server.gateway.access.scopes import (
    ROUTES,
    SCOPES,
    scope_of,
    scope_of_resource,
    scope_of_tool,
)
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings

#: The only routes that need nothing; whoever adds one must write it here too.
OPEN = {"/health", "/.well-known/{name:path}", "/", "/page/{name:path}"}

TOOLS = {
    "ollama_agent": "agent",
    "ollama_batch": "infer",
    "ollama_chat": "infer",
    "chat_completion": "infer",
    "ollama_conversations": "any",
    "ollama_copy": "manage",
    "ollama_create": "manage",
    "ollama_delete": "manage",
    "ollama_embed": "infer",
    "ollama_generate": "infer",
    "ollama_job": "any",
    "ollama_list": "read",
    "ollama_load": "infer",
    "ollama_ps": "read",
    "ollama_pull": "manage",
    "ollama_push": "manage",
    "ollama_show": "read",
    "ollama_verify_tools": "agent",
    "ollama_web_fetch": "agent",
    "ollama_web_search": "agent",
}


@pytest.mark.parametrize(("methods", "pattern", "need"), ROUTES)
def test_every_route_of_the_table_has_its_need(methods: str, pattern: str, need: str) -> None:
    assert need in (*SCOPES, "open", "any")
    assert (need == "open") == (pattern in OPEN)
    paths = {re.sub(r"\{\w+(:path)?\}", filling, pattern) for filling in ("x", "qwen3:8b")}
    if ":path}" in pattern:
        paths.add(re.sub(r"\{\w+(:path)?\}", "a/b", pattern.replace("{server}", "fs")))
    for method in methods.split():
        for path in paths:
            assert scope_of(method, path) == need, (method, path)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - set(methods.split()):
        assert scope_of(method, re.sub(r"\{\w+(:path)?\}", "x", pattern)) in (
            "admin",
            "agent",
            "any",
        )


@pytest.mark.parametrize(
    "path",
    [
        "",
        "//",
        "/health/",
        "/HEALTH",
        "/healthz",
        "/page",
        "/page/",
        "//api/tags",
        "/api/tags/",
        "/api",
        "/api/unheard-of",
        "/api/blobs/a/b",
        "/api/me",
        "/api/experimental/web_search",
        "/v1",
        "/v2/models",
        "/v1/files",
        "/tools/",
        "/mcp/",
        "/x/mcp",
        "/health\n",
        "/page/x\n",
        "/page/../api/tags",
        "/v1/models/../../api/delete",
        "/api/blobs/..",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_what_is_in_no_table_is_closed(method: str, path: str) -> None:
    assert scope_of(method, path) == "admin"


def test_head_needs_what_get_needs() -> None:
    assert scope_of("HEAD", "/") == "open"
    assert scope_of("HEAD", "/api/tags") == "read"
    assert scope_of("HEAD", "/api/blobs/sha256:0") == "manage"
    assert scope_of("HEAD", "/v1/chat/completions") == "admin"


def test_the_mcp_endpoint_is_for_every_caller_where_it_is() -> None:
    for method in ("GET", "POST", "DELETE"):
        assert scope_of(method, "/mcp") == "any"
        assert scope_of(method, "/ai/mcp", mcp="/ai/mcp") == "any"
    assert scope_of("POST", "/mcp", mcp="/ai/mcp") == "admin"


async def test_every_tool_has_its_need() -> None:
    server: FastMCP = build_server(App(Settings(toolsets="all", api_key="a-key")))
    needs = {tool.name: scope_of_tool(tool) for tool in await server.list_tools()}
    assert needs == {name: TOOLS[name] for name in needs}
    assert set(needs) > {"ollama_delete", "ollama_agent", "ollama_chat", "ollama_push"}


async def test_a_tool_of_the_users_own_counts_as_an_agents(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "from fastmcp.tools import tool\n\n@tool\ndef own() -> str:\n    'Do it.'\n    return ''\n"
    )
    server: FastMCP = build_server(App(Settings(tools_dir=tmp_path)))
    [own] = [tool for tool in await server.list_tools() if tool.name == "own"]
    assert scope_of_tool(own) == "agent"


async def test_every_resource_has_its_need(server: FastMCP) -> None:
    listed = [str(one.uri) for one in await server.list_resources(run_middleware=False)]
    listed += [one.uri_template for one in await server.list_resource_templates()]
    needs = {uri: scope_of_resource(uri) for uri in listed}
    assert needs == {
        uri: {"models": "read", "running": "read", "servers": "agent"}.get(
            uri.removeprefix("ollama://").partition("/")[0], "any"
        )
        for uri in listed
    }
    assert {"any", "read", "agent"} == set(needs.values())
    assert scope_of_resource("ollama://modelsx") == "agent"
    assert scope_of_resource("file:///etc/passwd") == "agent"
