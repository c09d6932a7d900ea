"""The tool that lists and forgets what the server keeps."""

from __future__ import annotations

from typing import Any

from pydantic import SecretStr

from ollama_mcp_server.app import App
from ollama_mcp_server.delegation.memory.conversation import size_of
from ollama_mcp_server.delegation.memory.conversations import NEW
from ollama_mcp_server.server import build_server
from ollama_mcp_server.tools.conversations import PAGE
from tests.conftest import Caller, MakeApp, text

HELLO = {"role": "user", "content": "Hello there"}
OTHER = "another caller"


async def begun(app: App, owner: str = "", question: str = "Hello there", model: str = "") -> str:
    async with app.conversations.turn(NEW, owner) as conversation:
        conversation.add([{"role": "user", "content": question}])
        conversation.model = model
    return conversation.handle


async def test_nothing_is_kept(client: Caller) -> None:
    result = await client.call("ollama_conversations")
    assert result.structured_content == {"conversations": [], "total": 0}
    assert text(result) == "no conversation is kept"


async def test_the_list_names_what_is_needed_to_go_on(app: App, client: Caller) -> None:
    handle = await begun(app, model="qwen3:8b")
    await begun(app, OTHER)
    result = await client.call("ollama_conversations")
    (row,) = result.structured_content["conversations"]
    assert row.pop("updated")
    assert row == {
        "handle": handle,
        "title": "Hello there",
        "model": "qwen3:8b",
        "turns": 1,
        "bytes": size_of([HELLO]),
    }
    for part in (handle, "Hello there", "turns: 1", "qwen3:8b"):
        assert part in text(result)


async def test_one_is_forgotten(app: App, client: Caller) -> None:
    handle, left = await begun(app), await begun(app)
    result = await client.call("ollama_conversations", forget=handle)
    assert result.structured_content["forgotten"] == 1
    assert [row["handle"] for row in result.structured_content["conversations"]] == [left]
    assert text(result).startswith("1 forgotten, 1 left")
    error = await client.error("ollama_conversations", forget=handle)
    assert error["code"] == "not_found"


async def test_all_of_ones_own_are_forgotten(app: App, client: Caller) -> None:
    theirs = await begun(app, OTHER)
    await begun(app)
    await begun(app)
    result = await client.call("ollama_conversations", forget="all")
    assert result.structured_content == {"conversations": [], "total": 0, "forgotten": 2}
    assert text(result) == "2 forgotten, 0 left"
    assert (await app.conversations.load(theirs, OTHER)).messages == [HELLO]
    error = await client.error("ollama_conversations", forget=theirs)
    assert error["code"] == "not_found"


async def test_a_long_list_comes_in_pages(app: App, client: Caller) -> None:
    handles = [await begun(app, question=f"Question {n}") for n in range(PAGE + 2)]
    result = await client.call("ollama_conversations")
    first = result.structured_content
    assert len(first["conversations"]) == PAGE
    assert first["total"] == PAGE + 2
    assert "[2 more: offset 40]" in text(result)
    following: dict[str, Any] = {"offset": first["next_offset"]}
    second = (await client.call("ollama_conversations", **following)).structured_content
    assert "next_offset" not in second
    rows = [row["handle"] for row in first["conversations"] + second["conversations"]]
    assert sorted(rows) == sorted(handles)


async def test_a_store_that_does_not_work_is_told(make_app: MakeApp) -> None:
    app = make_app(state_url=SecretStr("redis://:hunter2@127.0.0.1:1"))
    async with Caller(build_server(app)) as client:
        error = await client.error("ollama_conversations")
    assert "OLLAMA_MCP_STATE_URL" in error["hint"] + error["message"]
    assert "hunter2" not in str(error)


async def test_it_is_in_a_toolset_of_its_own(make_app: MakeApp) -> None:
    async with Caller(build_server(make_app(toolsets="conversations", read_only=True))) as client:
        assert [tool.name for tool in await client.list_tools()] == ["ollama_conversations"]
