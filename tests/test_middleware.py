"""Around every call: wrong arguments in words, names of peers, errors as results."""

from __future__ import annotations

from typing import Any

import pytest
from mcp import MCPError

from ollama_mcp_server.middleware import accepted
from ollama_mcp_server.server import build_server
from tests.conftest import CHAT, HELLO, Caller, MakeApp, text
from tests.fake_ollama import FakeOllama


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({}, "messages is required"),
        ({"model": CHAT, "messages": HELLO, "modle": 1}, "unknown argument modle (did you mean"),
        ({"messages": HELLO, "zzz": 1}, "unknown argument zzz (known are messages, model,"),
        ({"model": "", "messages": HELLO}, "model must not be empty"),
        ({"model": 5, "messages": HELLO}, "model must be text"),
        ({"model": CHAT, "messages": "Hello"}, "messages must be a list"),
        ({"model": CHAT, "messages": "[{"}, "messages is not valid JSON"),
        ({"model": CHAT, "messages": [{"role": "alien"}]}, "messages[0].role must be 'system',"),
        ({"model": CHAT, "messages": [{"role": "user", "contents": "x"}]},
         "unknown field messages[0].contents"),
        ({"model": CHAT, "messages": HELLO, "options": {"temprature": 1}},
         "did you mean 'temperature'"),
        ({"model": CHAT, "messages": HELLO, "options": {"num_ctx": "big"}},
         "options.num_ctx must be a whole number"),
        ({"model": CHAT, "messages": HELLO, "options": {"num_predict": 0}}, "0 would never end"),
        ({"model": CHAT, "messages": HELLO, "format": "xml"}, 'format must be "json"'),
        ({"model": CHAT, "messages": HELLO, "keep_alive": "5x"}, "keep_alive must be a duration"),
        ({"model": CHAT, "messages": HELLO, "think": 5}, "think must be true, false or a level"),
        ({"model": CHAT, "messages": HELLO, "top_logprobs": 21}, "top_logprobs must be 20 or less"),
        ({"model": CHAT, "messages": HELLO, "timeout": 0}, "timeout must be 1 or more"),
        ({"model": CHAT, "messages": HELLO, "tools": [{"name": 5}]}, "needs function.name"),
        ({"model": CHAT, "messages": [{"role": "user", "images": [5]}]},
         "must be a path, base64 or a data: URI"),
    ],
)  # fmt: skip
async def test_a_wrong_argument_is_told_in_words(
    client: Caller, daemon: FakeOllama, arguments: dict[str, Any], told: str
) -> None:
    error = await client.error("ollama_chat", **arguments)
    assert error["code"] == "invalid_argument"
    assert told in error["message"]
    assert error["message"].count("\n") <= 1
    assert not daemon.requests


async def test_an_error_does_not_repeat_what_was_sent(client: Caller) -> None:
    secret = "my private prompt"
    error = await client.error(
        "ollama_chat", model=CHAT, messages=[{"role": secret, "content": secret, "images": secret}]
    )
    assert secret not in str(error)


async def test_many_faults_are_told_in_short(client: Caller) -> None:
    error = await client.error("ollama_chat", **{f"wrong{n}": 1 for n in range(30)})
    assert "and 28 more" in error["message"]


async def test_an_unknown_tool_is_the_protocols_error(either_era: Caller) -> None:
    with pytest.raises(MCPError, match="Did you mean ollama_chat") as refused:
        await either_era.call_tool("ollama_chatt", {})
    assert refused.value.error.code == -32602


async def test_a_hidden_tool_says_how_to_get_it(make_app: MakeApp) -> None:
    async with Caller(build_server(make_app(toolsets="chat", read_only=True))) as client:
        with pytest.raises(MCPError, match="OLLAMA_MCP_TOOLSETS=chat,models"):
            await client.call_tool("ollama_list", {})
        with pytest.raises(MCPError, match="read-only"):
            await client.call_tool("ollama_delete", {})


async def test_a_fault_of_ours_is_internal_and_the_server_lives(
    client: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def boom(*_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("ollama_mcp_server.tools.models.ModelList.model_validate", boom)
    error = await client.error("ollama_list")
    assert error["code"] == "internal"
    assert "secret detail" not in str(error)
    monkeypatch.undo()
    assert not (await client.call("ollama_list")).is_error


def test_names_of_other_servers_are_accepted() -> None:
    known = ["model", "messages"]
    assert accepted({"name": "m", "stream": False, "messages": None}, known) == {"model": "m"}


def test_ones_own_name_wins() -> None:
    assert accepted({"name": "x", "model": "m"}, ["model"]) == {"name": "x", "model": "m"}
    assert accepted({"name": "x"}, ["name"]) == {"name": "x"}


async def test_arguments_of_other_servers_do_no_harm(client: Caller) -> None:
    result = await client.call("ollama_list", format="json", timeout=60000)
    assert not result.is_error, text(result)
    assert not (await client.call("ollama_show", name=CHAT, format="markdown")).is_error


async def test_strings_do_for_objects(client: Caller, daemon: FakeOllama) -> None:
    """As rawveg/ollama-mcp takes them."""
    result = await client.call(
        "ollama_chat", model=CHAT, messages='[{"role": "user", "content": "Hi"}]', tools="[]",
        options='{"temperature": 0}', format="markdown",
    )  # fmt: skip
    assert not result.is_error, text(result)
    assert daemon.requests[-1].body["options"]["temperature"] == 0
    assert "format" not in daemon.requests[-1].body


async def test_an_error_stands_where_the_daemon_names_no_others(
    client: Caller, daemon: FakeOllama
) -> None:
    daemon.reply("/api/tags", status=403)
    error = await client.error("ollama_show", model="nothing")
    assert error["code"] == "model_not_found"
    assert "nearest" not in error["details"]
