"""A question over plain HTTP: its answer with the steps, or what happens as it happens."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from tests.conftest import CHAT, THINKER
from tests.fake_ollama import FakeOllama
from tests.gateway.workshop import error_of, key_of, opened, server
from tests.tools.test_agent import calls
from tests.tools.test_chat import final, says

ALWAYS = {"auto_enable": "always"}
NEVER = {"auto_enable": "never"}
RAIN = "city__get_weather"


def rains(daemon: FakeOllama) -> None:
    """Let the model ask for the weather, and tell it."""
    daemon.reply("/api/chat", calls((RAIN, {"city": "Oslo"})), final())
    daemon.reply("/api/chat", says("It "), says("rains."), final())


def asked(daemon: FakeOllama) -> list[dict[str, Any]]:
    return [one.body for one in daemon.requests if one.path == "/api/chat"]


async def ask(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    body = {"question": "Does it rain in Oslo?", "model": CHAT, **body}
    said = await client.post("/api/ask", json=body)
    assert said.status_code == 200, said.text
    return said.json()


async def refused(client: httpx.AsyncClient, **body: Any) -> tuple[int, str, str]:
    body = {"question": "Does it rain?", "model": CHAT, **body}
    return error_of(await client.post("/api/ask", json=body))


async def events(client: httpx.AsyncClient, **body: Any) -> list[tuple[str, dict[str, Any]]]:
    """Ask for a stream and return its events as a browser reads them."""
    body = {"question": "Does it rain in Oslo?", "model": CHAT, "stream": True, **body}
    found = []
    async with client.stream("POST", "/api/ask", json=body) as said:
        assert said.headers["content-type"].startswith("text/event-stream")
        text = (await said.aread()).decode()
    assert text.endswith("\n\n")
    for block in text.strip().split("\n\n"):
        name, data = block.split("\n")
        found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


async def test_an_answer_comes_with_its_steps_and_its_cost(daemon: FakeOllama) -> None:
    rains(daemon)
    async with opened(daemon, server("city.py", "zebra", **ALWAYS)) as client:
        said = await ask(client)
    assert said["answer"] == "It rains."
    (step,) = said["steps"]
    assert (step["tool"], step["arguments"]) == ("city:get_weather", {"city": "Oslo"})
    assert "It rains zebra in Oslo." in step["result"]
    assert (said["usage"]["prompt_tokens"], said["usage"]["completion_tokens"]) == (14, 4)
    assert (said["stop_reason"], said["model"]) == ("answered", CHAT)
    assert "warnings" not in said
    assert "data" not in said


async def test_a_question_needs_no_servers_and_no_model(daemon: FakeOllama) -> None:
    async with opened(daemon) as client:
        said = (await client.post("/api/ask", json={"question": "Hello"})).json()
        assert said["answer"]
        assert said["steps"] == []
        assert said["model"]
    async with opened(daemon, server("city.py", "zebra", **NEVER)) as client:
        assert (await ask(client))["steps"] == []
        assert "tools" not in asked(daemon)[-1]


async def test_servers_tools_and_rounds_can_be_chosen(daemon: FakeOllama) -> None:
    city, notes = server("city.py", "zebra", **NEVER), server("notes.py", **ALWAYS)
    async with opened(daemon, city, notes) as client:

        async def offered(**body: Any) -> set[str]:
            daemon.reply("/api/chat", says("No."), final())
            await ask(client, **body)
            return {one["function"]["name"] for one in asked(daemon)[-1].get("tools", [])}

        assert await offered() == {"notes__list", "notes__read", "notes__delete"}
        assert await offered(servers=[]) == set()
        assert await offered(servers=["city"], tools=["get_*"]) == {RAIN, "city__get_time"}
        assert await offered(tools=["notes:list"]) == {"notes__list"}
        daemon.reply("/api/chat", calls(("notes__list", {})), final())
        daemon.reply("/api/chat", says("Enough."), final())
        said = await ask(client, max_rounds=1)
        assert (said["stop_reason"], len(said["steps"])) == ("max_rounds", 1)
        assert "max_rounds" in said["warnings"][0]


async def test_a_form_gives_data(daemon: FakeOllama) -> None:
    form = {"type": "object", "properties": {"rain": {"type": "boolean"}}, "required": ["rain"]}
    daemon.reply("/api/chat", says("Yes."), final())
    daemon.reply("/api/chat", says('{"rain": true}'), final())
    async with opened(daemon) as client:
        said = await ask(client, format=form)
        assert said["data"] == {"rain": True}
        wrong = await refused(client, format={"type": "colour"})
        assert wrong[:2] == (400, "invalid_argument")
        assert "no valid JSON Schema" in wrong[2]
    assert len(asked(daemon)) == 2


async def test_a_stream_tells_what_happens_and_ends_with_the_answer(daemon: FakeOllama) -> None:
    rains(daemon)
    async with opened(daemon, server("city.py", "zebra", **ALWAYS)) as client:
        told = await events(client)
    names = [name for name, _ in told]
    assert names == ["asking", "calling", "called", "asking", "said", "said", "ended"]
    data = dict(told)
    assert data["calling"] == {"tool": "city:get_weather", "arguments": {"city": "Oslo"}}
    assert data["called"]["tool"] == "city:get_weather"
    assert "It rains zebra in Oslo." in data["called"]["result"]
    assert data["called"]["ms"] >= 0
    assert "".join(one["content"] for name, one in told if name == "said") == "It rains."
    assert data["asking"] == {"round": 2, "model": CHAT, "mode": "native"}
    assert data["ended"]["answer"] == "It rains."
    assert len(data["ended"]["steps"]) == 1


async def test_a_tool_that_fails_or_is_invented_is_for_the_model_to_read(
    daemon: FakeOllama,
) -> None:
    daemon.reply("/api/chat", calls(("notes__read", {"name": "diary"})), final())
    daemon.reply("/api/chat", calls(("notes__burn", {})), final())
    daemon.reply("/api/chat", calls(("notes__delete", {"name": "token"})), final())
    daemon.reply("/api/chat", says("I cannot."), final())
    async with opened(daemon, server("notes.py", trusted=True, **ALWAYS)) as client:
        told = await events(client)
    errors = [data["error"] for name, data in told if name == "called"]
    assert "there is no note diary" in errors[0]
    assert "Tool not found" in errors[1]
    assert "Access denied" in errors[2]
    assert told[-1][1]["answer"] == "I cannot."


async def test_an_error_before_the_stream_is_a_status_and_after_it_an_event(
    daemon: FakeOllama,
) -> None:
    async with opened(daemon) as client:
        early = await refused(client, model="nothing", stream=True)
        assert early[:2] == (404, "model_not_found")
        daemon.reply("/api/chat", says("It "), error="the runner has crashed")
        told = await events(client)
        assert [name for name, _ in told] == ["asking", "said", "error"]
        error = told[-1][1]["error"]
        assert error["code"] == "daemon_error"
        assert error["message"]


async def test_a_server_that_is_down_is_a_warning_beside_one_that_works(
    daemon: FakeOllama,
) -> None:
    rains(daemon)
    down, city = server("fails.py", **ALWAYS), server("city.py", "zebra", **ALWAYS)
    async with opened(daemon, down, city) as client:
        said = await ask(client)
    assert said["answer"] == "It rains."
    (warning,) = said["warnings"]
    assert "fails is down since" in warning


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"question": ""}, "question must not be empty"),
        ({"question": "  "}, "question is not of the form"),
        ({"question": None}, "question must be text"),
        ({"questoin": "x"}, "unknown field questoin"),
        ({"max_rounds": 0}, "max_rounds must be 1 or more"),
        ({"max_rounds": "3"}, "max_rounds must be a whole number"),
        ({"servers": "city"}, "servers must be a list"),
        ({"servers": [1]}, "servers[0]"),
        ({"format": "yaml"}, "format"),
        ({"stream": "yes"}, "stream must be true or false"),
    ],
)
async def test_a_question_that_is_wrong_is_told_why(
    daemon: FakeOllama, body: dict[str, Any], words: str
) -> None:
    async with opened(daemon) as client:
        said = await refused(client, **body)
        assert said[:2] == (400, "invalid_argument")
        assert words in said[2]
        missing = await client.post("/api/ask", json={})
        assert "question is required" in error_of(missing)[2]


async def test_what_is_not_there_or_not_allowed_is_refused(daemon: FakeOllama) -> None:
    inline = {"name": "x", "command": "true"}
    async with opened(daemon, server("city.py", "zebra", **NEVER)) as client:
        assert (await refused(client, servers=["citi"]))[:2] == (404, "not_found")
        assert (await refused(client, tools=["get_*"]))[:2] == (404, "not_found")
        assert (await refused(client, path="/etc"))[:2] == (403, "permission_denied")
        denied = await refused(client, servers=[inline])
        assert denied[:2] == (403, "permission_denied")
        assert "OLLAMA_MCP_ALLOW_INLINE_SERVERS" in denied[2]
        assert asked(daemon) == []


async def test_a_key_asks_within_its_scopes_and_models(daemon: FakeOllama) -> None:
    keys = {
        "asker": key_of("asker", "infer"),
        "one": key_of("one", "infer", "agent", models=(CHAT,)),
        "reader": key_of("reader", "read"),
        "agent": key_of("agent", "infer", "agent"),
        "spender": key_of("spender", "infer", tokens_per_minute=5),
    }
    city = server("city.py", "zebra", **ALWAYS)
    known = [kept for _, kept in keys.values()]
    async with opened(daemon, city, keys=known, allow_inline_servers=True) as client:

        def be(name: str) -> httpx.AsyncClient:
            client.headers["authorization"] = f"Bearer {keys[name][0]}"
            return client

        assert (await ask(be("asker")))["steps"] == []
        assert "tools" not in asked(daemon)[-1], "a key without agent gets no tools"
        assert (await refused(be("asker"), servers=["city"]))[0] == 403
        assert (await refused(be("reader")))[0] == 403
        denied = await refused(be("one"), model=THINKER)
        assert denied[:2] == (403, "permission_denied")
        nameless = await client.post("/api/ask", json={"question": "Hello"})
        assert error_of(nameless)[0] == 403
        inline = {"name": "x", "command": "true"}
        assert (await refused(be("agent"), servers=[inline]))[0] == 403
        daemon.reply("/api/chat", says("Hello."), final())
        await ask(be("spender"))
        limited = await client.post("/api/ask", json={"question": "x", "model": CHAT})
        assert error_of(limited)[:2] == (429, "rate_limited")
        assert int(limited.headers["retry-after"]) > 0


async def test_a_client_that_leaves_its_stream_stops_the_model(daemon: FakeOllama) -> None:
    daemon.reply("/api/chat", says("It "), 30.0, final())
    async with opened(daemon) as client:

        async def read() -> None:
            body = {"question": "Hello", "model": CHAT, "stream": True}
            async with client.stream("POST", "/api/ask", json=body) as said:
                async for line in said.aiter_lines():
                    if line == "event: said":
                        return

        await asyncio.wait_for(read(), 20)

        def left() -> bool:
            return any(one.closed_early for one in daemon.requests if one.path == "/api/chat")

        await daemon.until(left)
