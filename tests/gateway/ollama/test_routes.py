"""Ollama's chat with tools: who gets them, what is asked for, and how it is shown."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import ollama
import pytest

from ollama_mcp_server.agent.events import Call, Called, Calling, Ended, Run, Said, Step
from ollama_mcp_server.errors import InvalidArgument
from ollama_mcp_server.gateway.access.keyfile import digest
from ollama_mcp_server.gateway.ollama.chunks import Chunks
from ollama_mcp_server.gateway.runs.asked import asked, wanted
from tests.conftest import CHAT, HELLO, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.serving import served

SERVER = Path(__file__).parents[2] / "servers" / "minimal.py"
GREETER = {"name": "greeter", "command": sys.executable, "args": [str(SERVER)]}
ALWAYS = {**GREETER, "auto_enable": "always"}
CALL = [{"role": "user", "content": "Call greeter__hello"}]
ASK = {"model": CHAT, "messages": CALL, "mcp_servers": ["greeter"]}
TOOL = {"type": "function", "function": {"name": "mine", "parameters": {"type": "object"}}}


def configured(*servers: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return settings with servers whose tools may be called."""
    return {"servers": json.dumps({"servers": servers}), "allow_destructive": True, **more}


@pytest.fixture
async def gateway(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    """A gateway with a server that is used where it is named."""
    async with served(make_app(**configured(GREETER))) as client:
        yield client


async def chunks(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    said = await client.post("/api/chat", json=body)
    assert said.status_code == 200, said.text
    assert said.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in said.text.splitlines()]


async def error(client: httpx.AsyncClient, **body: Any) -> tuple[int, str]:
    said = await client.post("/api/chat", json={**ASK, **body})
    return said.status_code, said.json()["error"]


async def test_a_chat_with_servers_shows_calls_results_and_the_answer(
    gateway: httpx.AsyncClient,
) -> None:
    told = await chunks(gateway, **ASK)
    assert all(set(part) >= {"model", "created_at", "message", "done"} for part in told)
    assert {part["model"] for part in told} == {CHAT}
    called, result, *words, last = [part["message"] for part in told]
    function = {"name": "greeter:hello", "arguments": {"name": "x"}}
    assert called == {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    assert (result["role"], result["tool_name"]) == ("tool", "greeter:hello")
    assert result["content"] == "Hello, x!"
    assert "".join(word["content"] for word in words).startswith("The tool answered: ")
    assert last == {"role": "assistant", "content": ""}
    assert [part["done"] for part in told] == [False] * (len(told) - 1) + [True]
    assert told[-1]["done_reason"] == "stop"
    assert told[-1]["prompt_eval_count"] > 0
    assert told[-1]["eval_count"] > 0
    assert told[-1]["total_duration"] > 0


async def test_without_a_stream_the_answer_is_one_object_with_its_steps(
    gateway: httpx.AsyncClient,
) -> None:
    said = await gateway.post("/api/chat", json={**ASK, "stream": False})
    assert said.headers["content-type"] == "application/json; charset=utf-8"
    told = said.json()
    assert told["done"]
    assert told["message"]["content"].startswith("The tool answered: ")
    (step,) = told["steps"]
    assert (step["tool"], step["arguments"]) == ("greeter:hello", {"name": "x"})
    assert step["result"] == "Hello, x!"


async def test_the_official_client_reads_both(gateway: httpx.AsyncClient) -> None:
    client = ollama.AsyncClient(str(gateway.base_url))
    roles = []
    # its own request type drops fields that it does not know, so it is asked below it
    async for part in await client._request(
        ollama.ChatResponse, "POST", "/api/chat", json=ASK, stream=True
    ):
        roles.append(part.message.role)
    assert roles[:2] == ["assistant", "tool"]
    whole = await client._request(
        ollama.ChatResponse, "POST", "/api/chat", json={**ASK, "stream": False}
    )
    assert whole.done_reason == "stop"
    await client._client.aclose()


async def test_the_official_client_gets_the_calls_of_its_own_tools_and_no_others(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    async with served(make_app(**configured(ALWAYS))) as plain:
        client = ollama.AsyncClient(str(plain.base_url))
        mine = {"role": "user", "content": "Call mine"}
        whole = await client.chat(CHAT, [mine], tools=[TOOL])
        parts = [part async for part in await client.chat(CHAT, [mine], tools=[TOOL], stream=True)]
        for told in (whole, parts[-2]):
            (call,) = told.message.tool_calls or ()
            assert (call.function.name, call.function.arguments) == ("mine", {})
        assert [part.done for part in parts[-2:]] == [False, True]
        assert parts[-1].done_reason == whole.done_reason == "stop"
        offered = [tool["function"]["name"] for tool in daemon.requests[-1].body["tools"]]
        assert offered == ["mine", "greeter__hello"]

        result = {"role": "tool", "tool_name": "mine", "content": "forty-two"}
        last = await client.chat(CHAT, [mine, whole.message, result], tools=[TOOL])
        assert "forty-two" in (last.message.content or "")
        assert last.message.tool_calls is None
        # what the servers' tools do is done here, and is nothing for the client to call
        parts = [part async for part in await client.chat(CHAT, CALL, tools=[TOOL], stream=True)]
        assert not any(part.message.tool_calls for part in parts)
        await client._client.aclose()


async def test_with_tools_of_the_client_calls_made_here_stand_in_steps(
    gateway: httpx.AsyncClient,
) -> None:
    told = await chunks(gateway, **ASK, tools=[TOOL])
    assert {part["message"]["role"] for part in told} == {"assistant"}
    begun, done = [part["steps"][0] for part in told if "steps" in part]
    assert begun == {"tool": "greeter:hello", "arguments": {"name": "x"}}
    assert done == {**begun, "result": "Hello, x!", "ms": done["ms"]}
    whole = (await gateway.post("/api/chat", json={**ASK, "tools": [TOOL], "stream": False})).json()
    assert "tool_calls" not in whole["message"]
    assert [step["tool"] for step in whole["steps"]] == ["greeter:hello"]


@pytest.mark.parametrize(
    "more",
    [
        {"mcp_servers": None},
        {"mcp_servers": []},
        {"mcp_servers": None, "tools": [TOOL]},
        {"mcp_servers": None, "max_tool_rounds": 3, "tool_timeout": 100},
        {"messages": []},
        {"messages": None, "keep_alive": 0},
        {"model": ""},
    ],
)
async def test_what_asks_for_no_tools_goes_to_the_daemon_untouched(
    more: dict[str, Any], gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    body = json.dumps({**ASK, **more}).encode()
    await gateway.post("/api/chat", content=body)
    assert [request.raw for request in daemon.requests] == [body]


async def test_servers_that_are_always_enabled_need_no_field(
    make_app: MakeApp, daemon: FakeOllama
) -> None:
    body = {"model": CHAT, "messages": CALL}
    async with served(make_app(**configured(ALWAYS))) as client:
        assert (await chunks(client, **body))[1]["message"]["role"] == "tool"
        for more in ({"tools": [{}]}, {"mcp_servers": []}, {"logprobs": True}):
            told = await chunks(client, **body, **more)
            assert {part["message"]["role"] for part in told} == {"assistant"}
    async with served(make_app(**configured(ALWAYS, disable_servers=True))) as client:
        told = await chunks(client, **body)
        assert {part["message"]["role"] for part in told} == {"assistant"}


async def test_a_file_of_servers_counts_as_it_is_now(make_app: MakeApp, tmp_path: Path) -> None:
    file = tmp_path / "servers.json"
    body = {"model": CHAT, "messages": CALL}
    app = make_app(servers_file=file, allow_destructive=True)

    async def roles(client: httpx.AsyncClient) -> set[str]:
        return {part["message"]["role"] for part in await chunks(client, **body)}

    async with served(app) as client:
        assert await roles(client) == {"assistant"}
        file.write_text(json.dumps({"servers": [ALWAYS]}))
        assert await roles(client) == {"assistant", "tool"}
        file.write_text("{ broken")
        assert await roles(client) == {"assistant"}


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        ({"tools": [{}]}, 400, "tools[0].function is required"),
        ({"tools": [{"function": {"name": ""}}]}, 400, "tools[0].function.name"),
        ({"logprobs": True}, 400, "logprobs cannot be had with mcp_servers"),
        ({"mcp_servers": "greeter"}, 400, "mcp_servers must be a list"),
        ({"mcp_servers": [1]}, 400, "mcp_servers[0]"),
        ({"max_tool_rounds": 0}, 400, "max_tool_rounds must be 1 or more"),
        ({"max_tool_rounds": 1000}, 400, "max_tool_rounds must be 100 or less"),
        ({"tool_timeout": "fast"}, 400, "tool_timeout must be a whole number"),
        ({"messages": "Hello"}, 400, "messages must be a list"),
        ({"messages": [{"content": 5}]}, 400, "messages[0].content must be text"),
        ({"options": []}, 400, "options must be an object"),
        ({"mcp_servers": ["greter"]}, 404, "Did you mean greeter?"),
        ({"mcp_servers": [GREETER]}, 403, "OLLAMA_MCP_ALLOW_INLINE_SERVERS=1"),
        ({"mcp_servers": None, "tools_path": "/"}, 403, "Access denied: / is in none"),
        ({"tools_path": "/etc"}, 403, "Access denied: /etc is in none"),
        ({"model": "nobody"}, 404, "nobody"),
    ],
)
async def test_what_cannot_be_had_is_refused_before_anything_runs(
    more: dict[str, Any], status: int, told: str, gateway: httpx.AsyncClient
) -> None:
    got, said = await error(gateway, **more)
    assert (got, told in said) == (status, True), said


async def test_a_path_enables_those_whose_rule_it_fits(make_app: MakeApp, tmp_path: Path) -> None:
    (tmp_path / "here").write_text("")
    rule = {**GREETER, "auto_enable": "if_match", "enable_if": {"file_exists": "here"}}
    body = {**ASK, "mcp_servers": None, "tools_path": str(tmp_path)}
    async with served(make_app(**configured(rule, roots=(tmp_path,)))) as client:
        assert (await chunks(client, **body))[1]["message"]["role"] == "tool"
        (tmp_path / "here").unlink()
        status, told = await error(client, **body)
        assert (status, "No MCP servers matched" in told) == (404, True)


async def test_a_call_may_define_servers_where_that_is_allowed(make_app: MakeApp) -> None:
    keys = [
        {"name": name, "sha256": digest(name.encode()), "scopes": scopes}
        for name, scopes in (("plain", ["infer"]), ("agent", ["infer", "agent"]),
                             ("admin", ["admin"]))
    ]  # fmt: skip
    body = {**ASK, "mcp_servers": [GREETER]}
    allowed = {"allow_inline_servers": True, "allow_destructive": True}
    async with served(make_app(**allowed)) as client:
        assert (await chunks(client, **body))[1]["message"]["role"] == "tool"
    app = make_app(**allowed, keys=json.dumps(keys))
    for name, status, told in (("plain", 403, "no scope agent"), ("agent", 403, "no scope admin")):
        async with served(app, token=name) as client:
            got, said = await error(client, mcp_servers=[GREETER])
            assert (got, told in said) == (status, True)
    async with served(app, token="admin") as client:
        assert (await chunks(client, **body))[1]["message"]["role"] == "tool"


async def test_a_key_without_the_scope_of_agents_gets_no_tools_unasked(make_app: MakeApp) -> None:
    keys = json.dumps([{"name": "plain", "sha256": digest(b"plain")}])
    async with served(make_app(**configured(ALWAYS, keys=keys)), token="plain") as client:
        told = await chunks(client, model=CHAT, messages=CALL)
        assert {part["message"]["role"] for part in told} == {"assistant"}


async def test_a_tool_that_the_model_invented_is_told_to_the_model(
    gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    function = {"name": "fly", "arguments": {}}
    message = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
    daemon.reply("/api/chat", {"message": message, "done": False}, {"done": True, "message": {}})
    told = await chunks(gateway, **ASK)
    assert told[0]["message"]["tool_calls"] == [{"function": function}]
    assert told[1]["message"]["content"].startswith("Error: Tool not found")
    assert told[-1]["done_reason"] == "stop"


async def test_rounds_are_bounded(gateway: httpx.AsyncClient, daemon: FakeOllama) -> None:
    for number in range(5):
        function = {"name": "greeter__hello", "arguments": {"name": str(number)}}
        message = {"role": "assistant", "content": "", "tool_calls": [{"function": function}]}
        daemon.reply(
            "/api/chat", {"message": message, "done": False}, {"done": True, "message": {}}
        )
    told = await chunks(gateway, **ASK, max_tool_rounds=2)
    assert [part["message"]["role"] for part in told].count("tool") == 2
    assert told[-1]["done_reason"] == "max_rounds"
    assert "max_rounds" in told[-1]["warnings"][0]


async def test_a_server_that_is_down_is_told_with_the_answer(make_app: MakeApp) -> None:
    down = {"name": "lost", "command": sys.executable, "args": ["-c", "raise SystemExit(3)"]}
    async with served(make_app(**configured(GREETER, down))) as client:
        told = await chunks(client, **{**ASK, "mcp_servers": ["greeter", "lost"]})
        assert any("lost is down since" in warning for warning in told[-1]["warnings"])
        status, said = await error(client, mcp_servers=["lost"])
        assert (status, "MCP server failed to initialize" in said) == (502, True)


async def test_an_error_after_the_beginning_is_the_last_line(
    gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    word = {"message": {"role": "assistant", "content": "So"}, "done": False}
    daemon.reply("/api/chat", word, error="it broke")
    told = await chunks(gateway, **ASK)
    assert told[0]["message"]["content"] == "So"
    assert "it broke" in told[-1]["error"]


async def test_a_client_that_leaves_ends_the_run(
    gateway: httpx.AsyncClient, daemon: FakeOllama
) -> None:
    daemon.hold("/api/chat")
    with pytest.raises(httpx.ReadTimeout):
        await gateway.post("/api/chat", json=ASK, timeout=2)
    await daemon.until(lambda: daemon.requests[-1].closed_early)
    assert daemon.requests[-1].path == "/api/chat"


# --- how it is shown ------------------------------------------------------------------------------


def shown(made: Chunks, *events: Any) -> list[dict[str, Any]]:
    return [part for event in events for part in made.of(event)]


def test_a_call_is_shown_once_also_if_it_was_refused_before_it_began() -> None:
    made, refused = Step(1, "fs", "read", {"path": "a"}), Step(1, "", "fly", {}, error="no")
    parts = shown(Chunks("m"), Calling(made), Called(made), Called(refused))
    assert ["tool_calls" in part["message"] for part in parts] == [True, False, True, False]
    assert parts[3]["message"] == {"role": "tool", "content": "Error: no", "tool_name": "fly"}


def test_with_a_format_only_what_is_in_it_is_content() -> None:
    run = Run(answer='{"a": 1}', data={"a": 1}, stop_reason="max_rounds", thinking="hm")
    parts = shown(
        Chunks("m", form="json"), Said("Let me see."), Said("", "hm"), Said("{"), Ended(run)
    )
    assert [part["message"]["content"] for part in parts] == ["", '{"a": 1}', ""]
    assert parts[0]["message"]["thinking"] == "hm"
    (whole,) = shown(Chunks("m", whole=True, form="json"), Said("x"), Ended(run))
    assert whole["message"] == {"role": "assistant", "content": '{"a": 1}', "thinking": "hm"}
    assert (whole["done"], whole["steps"]) == (True, [])


def test_a_call_for_the_client_comes_before_the_end_and_is_no_content() -> None:
    run = Run(answer="I will ask.", calls=[Call("mine", {"a": 1}, "call_1")])
    run.stop_reason = "tool_calls"
    function = {"index": 0, "name": "mine", "arguments": {"a": 1}}
    call, last = shown(Chunks("m", mixed=True, form="json"), Said("I will"), Ended(run))
    assert call["message"]["tool_calls"] == [{"id": "call_1", "function": function}]
    assert (call["message"]["content"], call["done"]) == ("", False)
    assert (last["done"], last["done_reason"]) == (True, "stop")
    (whole,) = shown(Chunks("m", mixed=True, whole=True), Ended(run))
    assert whole["message"]["content"] == "I will ask."
    assert whole["message"]["tool_calls"] == call["message"]["tool_calls"]


def test_what_a_chat_asks_for_becomes_a_task() -> None:
    told = {
        "model": "m", "messages": [{"content": "a"}, {"role": "tool", "tool_name": "t"}],
        "tools_path": "/x", "max_tool_rounds": 3, "tool_timeout": 5, "think": "low",
        "format": "", "keep_alive": 5, "options": {"seed": 1}, "unknown": 1,
    }  # fmt: skip
    task = asked(told).task()
    assert task.messages == [
        {"role": "user", "content": "a"},
        {"role": "tool", "content": "", "tool_name": "t"},
    ]
    assert (task.servers, task.path) == (None, Path("/x"))
    assert (task.max_rounds, task.tool_timeout, task.think) == (3, 5, "low")
    assert (task.format, task.keep_alive, task.options) == (None, 5, {"seed": 1})
    assert asked({**told, "max_tool_rounds": None}).task().max_rounds == 15


def test_tools_are_asked_for_by_names_or_a_path() -> None:
    assert wanted({"mcp_servers": ["a"]}).explicitly
    assert wanted({"tools_path": "/x"}).explicitly
    assert not wanted({"tools_path": "/x", "mcp_servers": []}).explicitly
    assert not wanted({"messages": HELLO}).explicitly
    with pytest.raises(InvalidArgument, match="tools_path must be text"):
        wanted({"tools_path": 1})
