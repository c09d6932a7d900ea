"""An OpenAI-compatible endpoint that is real: the daemon's own `/v1`."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydantic import SecretStr

from ollama_mcp_server.daemon.wire import Part
from ollama_mcp_server.delegation.upstream import Upstream
from ollama_mcp_server.errors import CapabilityMissing, DaemonError, ModelNotFound
from ollama_mcp_server.progress import Progress
from scripts.testbed import daemon, models, runner
from tests.live.sessions import LONG, SHORT, WEATHER, picture, user

pytestmark = pytest.mark.live

CAPITAL = [user("What is the capital of France?")]
PARIS = [user("What is the weather in Paris?")]


@pytest.fixture
async def upstream(ollama: daemon.Daemon) -> AsyncIterator[Upstream]:
    upstream = Upstream(f"{ollama.url}/v1", SecretStr("sk-not-asked-for"))
    yield upstream
    await upstream.aclose()


def a_progress() -> Progress:
    return Progress(None, "asking")


async def test_an_answer_is_ollamas(upstream: Upstream) -> None:
    heard: list[Part] = []
    body = {"model": models.CHAT, "messages": CAPITAL, "options": LONG}
    progress = a_progress()
    answer = await upstream.ask(body, progress, heard.append)
    assert "Paris" in answer.content
    assert "".join(part["message"]["content"] for part in heard) == answer.content
    assert progress.message.startswith("writing: token ")
    final = answer.final
    assert (final["model"], final["done"], final["done_reason"]) == (models.CHAT, True, "stop")
    assert final["prompt_eval_count"] > 10
    assert final["eval_count"] > 3
    assert final["prompt_eval_cached_count"] >= 0
    assert final["total_duration"] > 0
    assert answer.warnings == []


async def test_a_limit_is_kept_and_told(upstream: Upstream) -> None:
    body = {"model": models.CHAT, "messages": CAPITAL, "options": {**SHORT, "num_predict": 3}}
    answer = await upstream.ask(body, a_progress())
    assert (answer.done_reason, answer.final["eval_count"]) == ("length", 3)


async def test_thoughts_are_apart(upstream: Upstream) -> None:
    body = {"model": models.THINK, "messages": CAPITAL, "options": {"temperature": 0}}
    answer = await upstream.ask(body, a_progress())
    assert answer.thinking
    assert "Paris" in answer.content


async def test_a_level_is_sent_on(upstream: Upstream) -> None:
    body = {"model": models.CHAT, "messages": CAPITAL, "options": SHORT, "think": "high"}
    with pytest.raises(CapabilityMissing, match="thinking"):
        await upstream.ask(body, a_progress())


async def test_a_tool_is_called_and_its_answer_used(upstream: Upstream) -> None:
    body: Part = {"model": models.TOOLS, "messages": PARIS, "tools": [WEATHER], "options": LONG}
    answer = await upstream.ask(body, a_progress())
    [call] = answer.tool_calls
    assert call["id"]
    assert (call["function"]["name"], call["function"]["arguments"]) == (
        "get_weather",
        {"city": "Paris"},
    )
    told = [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": "get_weather", "content": "18 degrees and sunny"},
    ]
    answer = await upstream.ask({**body, "messages": [*PARIS, *told]}, a_progress())
    assert answer.content
    assert answer.tool_calls == []


async def test_a_call_that_was_broken_does_not_end_the_conversation(upstream: Upstream) -> None:
    # the endpoint itself refuses a history whose arguments are no JSON
    function = {"name": "get_weather", "arguments": '{"city": '}
    history = [
        *PARIS,
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": function}]},
        {"role": "tool", "tool_call_id": "c1", "content": "Error: the arguments are no JSON"},
    ]
    body = {"model": models.TOOLS, "messages": history, "tools": [WEATHER], "options": LONG}
    answer = await upstream.ask(body, a_progress())
    assert answer.done_reason in ("stop", "length")


async def test_a_model_without_tools_says_so(upstream: Upstream) -> None:
    body = {"model": models.CHAT, "messages": PARIS, "tools": [WEATHER]}
    with pytest.raises(CapabilityMissing) as caught:
        await upstream.ask(body, a_progress())
    assert caught.value.details["capability"] == "tools"


@pytest.mark.parametrize(
    ("colour", "name"), [((255, 0, 0), "red"), ((0, 0, 255), "blue"), ((0, 255, 0), "green")]
)
async def test_a_picture_is_seen(
    upstream: Upstream, colour: tuple[int, int, int], name: str
) -> None:
    asked = user("Which colour is it?", images=[picture(*colour)])
    body = {"model": models.VISION, "messages": [asked], "options": SHORT}
    assert name in (await upstream.ask(body, a_progress())).content


async def test_a_picture_that_a_tool_gave_is_seen(upstream: Upstream) -> None:
    call = {"id": "c1", "function": {"name": "paint", "arguments": {}}}
    history = [
        user("Paint something. Which colour is it?"),
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "", "images": [picture(255, 0, 0)]},
    ]
    body = {"model": models.VISION, "messages": history, "options": SHORT}
    assert "red" in (await upstream.ask(body, a_progress())).content


async def test_a_model_that_is_blind_says_so(upstream: Upstream) -> None:
    asked = user("Which colour is it?", images=[picture(255, 0, 0)])
    body = {"model": models.CHAT, "messages": [asked], "options": SHORT}
    with pytest.raises(CapabilityMissing, match="vision"):
        await upstream.ask(body, a_progress())


async def test_a_schema_is_held(upstream: Upstream) -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "sunny": {"type": "boolean"}},
        "required": ["city", "sunny"],
    }
    body = {"model": models.CHAT, "messages": CAPITAL, "format": schema, "options": LONG}
    answer = await upstream.ask(body, a_progress())
    assert isinstance(answer.data["sunny"], bool)
    assert json.loads(answer.content) == answer.data


async def test_json_is_json(upstream: Upstream) -> None:
    body: dict[str, Any] = {"model": models.CHAT, "messages": CAPITAL, "format": "json"}
    answer = await upstream.ask({**body, "options": LONG}, a_progress())
    assert isinstance(answer.data, dict)


async def test_a_prompt_that_was_cut_is_told(upstream: Upstream) -> None:
    # Ollama's /v1 has no way to forbid it: of 6,000 tokens it reads half a window.
    body = {"model": models.CHAT, "messages": [user("word " * 6000)], "options": SHORT}
    answer = await upstream.ask(body, a_progress())
    assert answer.final["prompt_eval_count"] < 2048
    [warning] = answer.warnings
    assert "seems to have dropped a part" in warning


async def test_a_model_that_is_not_there_gets_the_near_names(upstream: Upstream) -> None:
    with pytest.raises(ModelNotFound) as caught:
        await upstream.ask({"model": "testbed/chatt:135m", "messages": CAPITAL}, a_progress())
    assert caught.value.hint.startswith(f"Did you mean {models.CHAT}")


async def test_its_models_are_listed(upstream: Upstream) -> None:
    listed = await upstream.models()
    assert {models.CHAT, f"{models.TOOLS}:latest", models.EMBED} <= set(listed)
    assert await upstream.first_model() in listed


async def test_another_path_is_no_endpoint(ollama: daemon.Daemon) -> None:
    upstream = Upstream(f"{ollama.url}/v2", None)
    with pytest.raises(DaemonError, match="no OpenAI-compatible endpoint") as caught:
        await upstream.ask({"model": models.CHAT, "messages": CAPITAL}, a_progress())
    assert "OLLAMA_MCP_OPENAI_BASE_URL" in caught.value.hint
    assert not caught.value.retryable
    await upstream.aclose()


async def test_cancelling_stops_the_model(ollama: daemon.Daemon, upstream: Upstream) -> None:
    began = asyncio.Event()
    body = {
        "model": models.CHAT,
        "messages": [user("Count to a thousand: 1, 2, 3,")],
        "options": {"temperature": 0, "num_predict": 1500},
    }
    asking = asyncio.create_task(upstream.ask(body, a_progress(), lambda _: began.set()))
    await asyncio.wait_for(began.wait(), 30)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.to_thread(runner.wait_until_idle, ollama.pid)


async def test_a_runner_that_dies_is_no_short_answer(
    ollama: daemon.Daemon, upstream: Upstream
) -> None:
    killed: list[int] = []

    def kill(_: Part) -> None:
        if not killed:
            killed.extend(runner.pids(ollama.pid))
            for pid in killed:
                os.kill(pid, signal.SIGKILL)

    body = {
        "model": models.CHAT,
        "messages": [user("Count to a thousand: 1, 2, 3,")],
        "options": {"temperature": 0, "num_predict": 1500},
    }
    with pytest.raises(DaemonError) as caught:
        await upstream.ask(body, a_progress(), kill)
    assert killed
    assert caught.value.details["content"]
