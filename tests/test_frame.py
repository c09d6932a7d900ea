"""FastMCP's server as it is used here: what is spared, and that it still does the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ollama_mcp_server.server import build_server
from tests.conftest import Caller, MakeApp
from tests.wire import OLD

CLIENT = {"name": "tests", "version": "1"}

OWN = """
from fastmcp import Context
from fastmcp.tools import tool

@tool
async def count(ctx: Context) -> int:
    "Count the calls of this session."
    calls = (await ctx.get_state("calls") or 0) + 1
    await ctx.set_state("calls", calls)
    return calls

@tool
async def forget(ctx: Context) -> str:
    "Forget the calls, were there any or not."
    await ctx.delete_state("calls")
    return "forgotten"

@tool
async def hide(ctx: Context) -> str:
    "Hide a tool from this session."
    await ctx.disable_components(names={"count"})
    return "hidden"
"""


async def test_a_tool_of_a_folder_may_keep_state(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(OWN)
    server = build_server(make_app(tools_dir=tmp_path))
    async with Caller(server, mode="legacy") as client, Caller(server, mode="legacy") as other:
        assert (await client.call_tool("forget")).data == "forgotten"
        assert [(await client.call_tool("count")).data for _ in range(3)] == [1, 2, 3]
        assert (await client.call_tool("forget")).data == "forgotten"
        assert (await client.call_tool("count")).data == 1
        assert (await other.call_tool("count")).data == 1


async def test_a_tool_of_a_folder_may_hide_one_from_its_session(
    make_app: MakeApp, tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(OWN)
    server = build_server(make_app(tools_dir=tmp_path))
    async with Caller(server, mode="legacy") as client, Caller(server, mode="legacy") as other:
        await client.call_tool("hide")
        assert "count" not in {tool.name for tool in await client.list_tools()}
        assert "count" in {tool.name for tool in await other.list_tools()}


def test_a_list_imports_no_store() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "ollama_mcp_server"]
    hello = {"protocolVersion": OLD[-1], "capabilities": {}, "clientInfo": CLIENT}
    asked = [
        {"id": 1, "method": "initialize", "params": hello},
        {"method": "notifications/initialized"},
        {"id": 2, "method": "tools/list"},
    ]
    lines = "".join(json.dumps({"jsonrpc": "2.0", **one}) + "\n" for one in asked)
    ran = subprocess.run(command, input=lines, capture_output=True, text=True, check=True)
    assert "ollama_generate" in ran.stdout
    assert "ollama_mcp_server.server" in ran.stderr
    assert "key_value" not in ran.stderr
    assert "griffe" not in ran.stderr  # which reads docstrings where a tool is derived
