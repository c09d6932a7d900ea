"""ollama_agent: a scripted model, and servers that are real child processes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from fastmcp.client.elicitation import ElicitResult

from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama, Request
from tests.tools.test_chat import final, says

SERVERS = Path(__file__).parent.parent / "servers"
#: A model of the fake daemon that calls tools.
TOOLS = CHAT


def notes(**more: Any) -> dict[str, Any]:
    """Return the definition of a server of notes."""
    return {
        "name": "notes", "command": sys.executable, "args": [str(SERVERS / "notes.py")],
        "auto_enable": "always", "trusted": True, **more,
    }  # fmt: skip


def calls(*wanted: tuple[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the part of a stream in which a model asks for calls."""
    made = [{"function": {"name": name, "arguments": given}} for name, given in wanted]
    return {
        "model": TOOLS,
        "message": {"role": "assistant", "content": "", "tool_calls": made},
        "done": False,
    }


def chats(daemon: FakeOllama) -> list[Request]:
    """Return the turns that were asked for."""
    return [request for request in daemon.requests if request.path == "/api/chat"]


@pytest.fixture(params=["legacy", "auto"])
async def client(make_app: MakeApp, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """A client of a server that is configured with notes; it cannot ask its user."""
    app = make_app(servers=json.dumps([notes()]))
    async with Caller(build_server(app), mode=request.param) as caller:
        yield caller


def asks(make_app: MakeApp, era: str, reply: Any, **settings: Any) -> tuple[Caller, list[str]]:
    """Return a client that answers its user's questions with `reply`, and what was asked."""
    asked: list[str] = []

    async def answer(message: str, *_: Any) -> Any:
        asked.append(message)
        if callable(reply):
            return await reply()
        return reply

    app = make_app(servers=json.dumps([notes()]), **settings)
    return Caller(build_server(app), mode=era, elicitation_handler=answer), asked


async def test_an_exact_transcript_of_many_calls(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", calls(("notes__list", {})), final())
    daemon.reply(
        "/api/chat",
        calls(("notes__read", {"name": "token"}), ("notes__read", {"name": "shopping"})),
        final(),
    )
    daemon.reply("/api/chat", says("The token is 4711."), final())
    result = await client.call("ollama_agent", task="What is the token?", model=TOOLS)
    said = result.structured_content
    assert said["content"] == "The token is 4711."
    assert said["stop_reason"] == "answered"
    assert [(step["tool"], step["arguments"], step["result"]) for step in said["steps"]] == [
        ("notes:list", {}, "shopping, token"),
        ("notes:read", {"name": "token"}, "the token is 4711"),
        ("notes:read", {"name": "shopping"}, "milk and bread"),
    ]
    assert said["rounds"] == 3
    assert said["mode"] == "native"
    assert text(result).startswith("The token is 4711.\n")
    asked = [request.body for request in chats(daemon)]
    assert {one["function"]["name"] for one in asked[0]["tools"]} == {
        "notes__list", "notes__read", "notes__delete",
    }  # fmt: skip
    assert asked[0]["options"]["temperature"] == 0
    roles = [message["role"] for message in asked[2]["messages"]]
    assert roles == ["user", "assistant", "tool", "assistant", "tool", "tool"]
    assert "4711" in asked[2]["messages"][4]["content"]
    assert result.meta is not None
    assert result.meta["ollama/steps"][0]["tool"] == "list"


async def test_what_destroys_is_refused_where_nobody_can_be_asked(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("It was not allowed."), final())
    said = (await client.call("ollama_agent", task="Delete it", model=TOOLS)).structured_content
    assert said["steps"][0]["error"].startswith("Access denied")
    assert said["content"] == "It was not allowed."


async def test_a_caller_may_allow_it(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("Done."), final())
    result = await client.call(
        "ollama_agent", task="Delete it", model=TOOLS, allow_destructive=True
    )
    assert result.structured_content["steps"][0]["result"] == "deleted"


@pytest.mark.parametrize("era", ["legacy", "auto"])
@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ({"confirm": True, "value": True}, "deleted"),
        (ElicitResult(action="decline"), "Access denied"),
        (ElicitResult(action="cancel"), "Access denied"),
    ],
    ids=["yes", "no", "closed"],
)
async def test_the_user_is_asked_in_both_eras_and_the_run_goes_on(
    make_app: MakeApp, daemon: FakeOllama, era: str, reply: Any, outcome: str
) -> None:
    daemon.reply("/api/chat", calls(("notes__list", {})), final())
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("That was it."), final())
    caller, asked = asks(make_app, era, reply)
    async with caller:
        result = await caller.call("ollama_agent", task="Delete the token", model=TOOLS)
    said = result.structured_content
    assert said["content"] == "That was it."
    (question,) = asked
    assert "notes:delete" in question
    assert "token" in question
    assert outcome in (said["steps"][1].get("result") or said["steps"][1]["error"])
    assert len(chats(daemon)) == 3, "the run went on, and did not begin again"


async def test_nobody_else_can_answer_for_a_run(make_app: MakeApp) -> None:
    async with Caller(build_server(make_app(servers="[]")), mode="auto") as caller:
        with pytest.raises(Exception, match="requestState"):
            await caller.session.send_request(
                mcp_types.CallToolRequest(
                    method="tools/call",
                    params=mcp_types.CallToolRequestParams(
                        name="ollama_agent",
                        arguments={"task": "x"},
                        input_responses={"confirm": mcp_types.ElicitResult(action="accept")},
                        request_state="run_forged",
                    ),
                ),
                mcp_types.CallToolResult,
            )


async def test_an_invented_tool_goes_back_to_the_model(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", calls(("notes__burn", {})), final())
    daemon.reply("/api/chat", says("I cannot."), final())
    said = (await client.call("ollama_agent", task="Burn it", model=TOOLS)).structured_content
    assert "Tool not found" in said["steps"][0]["error"]
    assert said["content"] == "I cannot."


async def test_without_task_or_message_nothing_is_done(client: Caller) -> None:
    error = await client.error("ollama_agent")
    assert error["code"] == "invalid_argument"
    assert (await client.error("ollama_agent", task="a", messages=[{"content": "b"}]))["code"] == (
        "invalid_argument"
    )


async def test_no_server_matched_says_why(make_app: MakeApp) -> None:
    app = make_app(servers=json.dumps([notes(auto_enable="never")]))
    async with Caller(build_server(app)) as caller:
        error = await caller.error("ollama_agent", task="x", model=TOOLS)
        assert error["code"] == "not_found"
        assert "No MCP servers matched for --tools context" in error["message"]
        unknown = await caller.error("ollama_agent", task="x", model=TOOLS, servers=["nots"])
        assert "notes" in unknown["message"] + unknown["hint"]


async def test_servers_of_a_call_need_leave(make_app: MakeApp, daemon: FakeOllama) -> None:
    inline = {key: value for key, value in notes().items() if key != "trusted"}
    async with Caller(build_server(make_app(servers="[]"))) as caller:
        error = await caller.error("ollama_agent", task="x", model=TOOLS, servers=[inline])
        assert error["code"] == "permission_denied"
        assert error["message"].startswith("Access denied")
    daemon.reply("/api/chat", says("Done."), final())
    app = make_app(servers="[]", allow_inline_servers=True)
    async with Caller(build_server(app)) as caller:
        said = await caller.call("ollama_agent", task="x", model=TOOLS, servers=[inline])
        assert said.structured_content["content"] == "Done."
        secret = {**inline, "env": {"KEY": "${HOME}"}}
        error = await caller.error("ollama_agent", task="x", model=TOOLS, servers=[secret])
        assert error["code"] == "permission_denied"


async def test_switched_off_servers_are_not_used(make_app: MakeApp) -> None:
    app = make_app(servers=json.dumps([notes()]), disable_servers=True)
    async with Caller(build_server(app)) as caller:
        error = await caller.error("ollama_agent", task="x", model=TOOLS, servers=["notes"])
        assert "OLLAMA_MCP_DISABLE" in error["hint"]


async def test_a_broken_configuration_tells_its_place(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    file.write_text('{"servers": [\n  {"name": "a" "command": "b"}]}')
    async with Caller(build_server(make_app(servers_file=file))) as caller:
        error = await caller.error("ollama_agent", task="x", model=TOOLS)
        assert f"{file}:2:" in error["message"]


async def test_a_path_outside_the_roots_is_denied(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(servers=json.dumps([notes()]), roots=str(tmp_path))
    async with Caller(build_server(app)) as caller:
        error = await caller.error("ollama_agent", task="x", model=TOOLS, path="/etc")
        assert error["code"] == "permission_denied"
        assert error["message"].startswith("Access denied")


@pytest.mark.parametrize("path", ["\0", "a\0b", "~nobody-of-that-name/x", "\ud800", "x" * 9000])
async def test_what_is_no_path_is_told_so(make_app: MakeApp, tmp_path: Path, path: str) -> None:
    async with Caller(build_server(make_app(roots=str(tmp_path)))) as caller:
        error = await caller.error("ollama_agent", task="x", model=TOOLS, path=path)
    assert error["code"] in ("invalid_argument", "permission_denied")
    assert "\0" not in error["message"]


async def test_a_server_that_does_not_start_stops_no_other(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    fails = {**notes(), "name": "fails", "args": [str(SERVERS / "fails.py")]}
    daemon.reply("/api/chat", says("Done."), final())
    async with Caller(build_server(make_app(servers=json.dumps([notes(), fails])))) as caller:
        said = await caller.call("ollama_agent", task="x", model=TOOLS)
        assert "fails is down since" in " ".join(said.structured_content["warnings"])
        alone = await caller.error("ollama_agent", task="x", model=TOOLS, servers=["fails"])
        assert alone["code"] == "tool_failed"
        assert "MCP server failed to initialize" in alone["message"]


async def test_answers_in_the_form_of_a_schema(client: Caller, daemon: FakeOllama) -> None:
    schema = {
        "type": "object", "properties": {"token": {"type": "integer"}}, "required": ["token"],
    }  # fmt: skip
    daemon.reply("/api/chat", calls(("notes__read", {"name": "token"})), final())
    daemon.reply("/api/chat", says("It is 4711."), final())
    daemon.reply("/api/chat", says('{"token": 4711}'), final())
    result = await client.call("ollama_agent", task="The token?", model=TOOLS, format=schema)
    assert result.structured_content["data"] == {"token": 4711}
    assert "content" not in result.structured_content
    last = chats(daemon)[-1].body
    assert "tools" not in last
    assert last["format"]["properties"]["token"]["type"] == "integer"


async def test_a_conversation_keeps_task_and_answer(client: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", calls(("notes__list", {})), final())
    daemon.reply("/api/chat", says("Two notes."), final())
    first = await client.call("ollama_agent", task="List", model=TOOLS, conversation="new")
    handle = first.structured_content["conversation"]
    daemon.reply("/api/chat", says("As I said."), final())
    await client.call("ollama_agent", task="Again?", conversation=handle)
    asked = chats(daemon)[-1].body
    assert [m["content"] for m in asked["messages"]] == ["List", "Two notes.", "Again?"]
    assert asked["model"] == TOOLS


async def test_a_long_run_goes_on_as_a_job(make_app: MakeApp, daemon: FakeOllama) -> None:
    app = make_app(servers=json.dumps([notes()]), wait=0.3)
    async with Caller(build_server(app)) as caller:
        daemon.reply("/api/chat", calls(("notes__list", {})), final())
        daemon.reply("/api/chat", 3.0, says("At last."), final())
        said = await caller.call("ollama_agent", task="x", model=TOOLS)
        job = said.structured_content["job"]
        done = await caller.call("ollama_job", job=job, wait=20)
        assert done.structured_content["content"] == "At last."
        assert done.structured_content["steps"][0]["result"] == "shopping, token"


async def test_progress_tells_each_call(client: Caller, daemon: FakeOllama) -> None:
    told: list[str] = []

    async def progress(value: float, total: float | None, message: str | None) -> None:
        told.append(message or "")

    daemon.reply("/api/chat", 0.3, calls(("notes__list", {})), final())
    daemon.reply("/api/chat", 0.3, says("Done."), final())
    await client.call("ollama_agent", task="x", model=TOOLS, on_progress=progress)
    assert any("notes:list" in message for message in told), told
    assert any(message.startswith("round 2: ") for message in told), told


async def test_cancelling_stops_the_model(client: Caller, daemon: FakeOllama) -> None:
    daemon.hold("/api/chat")
    task = asyncio.create_task(client.call("ollama_agent", task="x", model=TOOLS))
    await daemon.until(lambda: bool(chats(daemon)), 10)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await daemon.until(lambda: chats(daemon)[0].closed_early)


async def test_the_servers_are_shown_with_their_state(client: Caller, daemon: FakeOllama) -> None:
    async def shown() -> dict[str, Any]:
        (server,) = json.loads((await client.read_resource("ollama://servers"))[0].text)["servers"]
        return dict(server)

    before = await shown()
    assert (before["name"], before["enabled"]) == ("notes", True)
    assert "state" not in before
    daemon.reply("/api/chat", says("Done."), final())
    await client.call("ollama_agent", task="x", model=TOOLS)
    after = await shown()
    assert after["state"] in ("up", "idle")
    assert after["tools"] == ["list", "read", "delete"]


async def test_a_read_only_server_offers_the_agent_nothing_that_destroys(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    app = make_app(servers=json.dumps([notes()]), read_only=True)
    daemon.reply("/api/chat", says("Done."), final())
    async with Caller(build_server(app)) as caller:
        await caller.call("ollama_agent", task="x", model=TOOLS, allow_destructive=True)
    offered = chats(daemon)[0].body["tools"]
    assert [one["function"]["name"] for one in offered] == ["notes__list", "notes__read"]
