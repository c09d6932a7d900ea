"""What a real daemon can be made to fail with, and what a caller is told of it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastmcp.client.client import CallToolResult
from mcp import MCPError
from pydantic import SecretStr

from ollama_mcp_server.daemon import client
from scripts.testbed import daemon, models, processes, recorder, runner, wire
from tests.conftest import Caller, text
from tests.live.sessions import (
    CACHE,
    LONG,
    SHORT,
    VERSION,
    WEATHER,
    in_memory,
    over_stdio,
    picture,
    user,
)

pytestmark = pytest.mark.live

HI = [user("Hi")]
STORY = "Write a long story about a cat."


@pytest.fixture(scope="module")
def tape(ollama_host: str) -> Iterator[recorder.Recorder]:
    with recorder.start(ollama_host) as proxy:
        yield proxy


@pytest.fixture
async def caller(tape: recorder.Recorder) -> AsyncIterator[Caller]:
    tape.exchanges.clear()
    async with in_memory(tape.url) as client:
        yield client


@pytest.fixture(scope="module")
def fragile(ollama_pid: int) -> Iterator[daemon.Daemon]:
    """A daemon that tests may break, with room for one model, one request and one that waits."""
    tight = {
        "OLLAMA_MAX_QUEUE": "1",
        "OLLAMA_NUM_PARALLEL": "1",
        "OLLAMA_MAX_LOADED_MODELS": "1",
    }
    with daemon.start(CACHE, version=VERSION, env=tight) as ollama:
        yield ollama


# The daemon is not there


async def test_without_a_daemon_the_tools_are_listed_and_say_how_to_start_it() -> None:
    closed = f"http://127.0.0.1:{processes.free_port()}"
    async with Caller(over_stdio(closed)) as caller:
        assert len(await caller.list_tools()) > 10
        for tool, arguments in {
            "ollama_ps": {},
            "ollama_list": {},
            "ollama_chat": {"model": models.CHAT, "messages": HI},
            "ollama_pull": {"model": models.CHAT},
        }.items():
            error = await caller.error(tool, **arguments)
            assert (error["code"], error["retryable"]) == ("daemon_unreachable", True)
            assert closed in error["message"]
            assert "ollama serve" in error["hint"]
            assert "OLLAMA_HOST" in error["hint"]


async def test_a_host_that_the_daemon_does_not_trust_is_told(ollama_host: str) -> None:
    foreign = {"Host": SecretStr("evil.example")}
    async with in_memory(ollama_host, headers=foreign) as caller:
        error = await caller.error("ollama_list")
    assert (error["code"], error["retryable"]) == ("permission_denied", False)
    assert "Host" in error["message"]
    assert "OLLAMA_HOST" in error["hint"]


# The model is not there, or cannot do it


@pytest.mark.parametrize(
    ("tool", "arguments"),
    {
        "ollama_chat": {"messages": HI},
        "ollama_generate": {"prompt": "Hi"},
        "chat_completion": {"messages": HI},
        "ollama_embed": {"input": "Hi"},
        "ollama_load": {},
        "ollama_show": {},
    }.items(),
)
async def test_an_unknown_model_comes_with_the_names_that_are_near(
    caller: Caller, tool: str, arguments: dict[str, Any]
) -> None:
    error = await caller.error(tool, model="testbed/visoin", **arguments)
    assert (error["code"], error["retryable"]) == ("model_not_found", False)
    assert error["details"]["model"] == "testbed/visoin"
    assert error["details"]["nearest"][0] == f"{models.VISION}:latest"
    assert "Did you mean" in error["hint"]
    assert "ollama_pull" in error["hint"]


RED = picture(255, 0, 0)


@pytest.mark.parametrize(
    ("capability", "able", "tool", "arguments"),
    [
        ("tools", models.TOOLS, "ollama_chat", {"messages": HI, "tools": [WEATHER]}),
        ("tools", models.TOOLS, "chat_completion", {"messages": HI, "tools": [WEATHER]}),
        ("thinking", models.THINK, "ollama_chat", {"messages": HI, "think": True}),
        ("thinking", models.THINK, "ollama_generate", {"prompt": "Hi", "think": "high"}),
        ("vision", models.VISION, "ollama_chat", {"messages": [user("What?", images=[RED])]}),
        ("vision", models.VISION, "ollama_generate", {"prompt": "What?", "images": [RED]}),
        ("insert", models.INSERT, "ollama_generate", {"prompt": "a", "suffix": "b"}),
        ("embedding", models.EMBED, "ollama_embed", {"input": "Hi"}),
        ("completion", models.CHAT, "ollama_chat", {"messages": HI, "model": models.EMBED}),
        ("completion", models.CHAT, "ollama_generate", {"prompt": "Hi", "model": models.EMBED}),
    ],
)
async def test_a_missing_capability_comes_with_the_models_that_have_it(
    caller: Caller, capability: str, able: str, tool: str, arguments: dict[str, Any]
) -> None:
    asked = {"model": models.CHAT, **arguments}
    error = await caller.error(tool, **asked)
    assert (error["code"], error["retryable"]) == ("capability_missing", False)
    assert error["details"]["model"] == asked["model"]
    assert error["details"]["capability"] == capability
    name = able if ":" in able else f"{able}:latest"
    assert name in error["details"]["candidates"]
    assert asked["model"] not in error["details"]["candidates"]
    assert "Installed models that do" in error["hint"]


async def test_where_no_model_is_installed_one_is_told_to_be_got(ollama_pid: int, tmp_path) -> None:
    with daemon.start(CACHE, version=VERSION, store=tmp_path / "store") as empty:
        async with in_memory(empty.url) as caller:
            error = await caller.error("ollama_chat", model="qwen3", messages=HI)
            nothing = await caller.call("ollama_list")
            unnamed = await caller.error("ollama_chat", messages=HI)
    assert (unnamed["code"], unnamed["retryable"]) == ("capability_missing", False)
    assert "ollama_pull" in unnamed["hint"]
    assert error["code"] == "model_not_found"
    assert "nearest" not in error["details"]
    assert "ollama_pull" in error["hint"]
    assert "ollama_pull" in text(nothing)


# The request does not fit, or is wrong


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("ollama_chat", {"messages": [user("word " * 600)]}),
        ("ollama_generate", {"prompt": "word " * 600}),
    ],
)
async def test_a_prompt_that_does_not_fit_is_refused_with_the_numbers(
    caller: Caller, tool: str, arguments: dict[str, Any]
) -> None:
    error = await caller.error(tool, model=models.CHAT, options={"num_ctx": 256}, **arguments)
    assert (error["code"], error["retryable"]) == ("context_overflow", False)
    assert error["details"]["prompt_tokens"] > 600
    assert error["details"]["context"] == 256
    assert str(error["details"]["prompt_tokens"]) in error["message"]
    assert "num_ctx" in error["hint"]
    assert "word word" not in str(error)


async def test_a_text_that_does_not_fit_is_not_embedded_in_part(caller: Caller) -> None:
    error = await caller.error("ollama_embed", model=models.EMBED, input="word " * 600)
    assert error["code"] == "context_overflow"
    cut = await caller.call("ollama_embed", model=models.EMBED, input="word " * 600, truncate=True)
    assert cut.structured_content["count"] == 1


async def test_a_completion_that_does_not_fit_says_what_can_be_done_about_it(
    caller: Caller,
) -> None:
    error = await caller.error(
        "chat_completion", model=models.CHAT, messages=[user("word " * 9000)], max_tokens=8
    )
    assert error["code"] == "context_overflow"
    assert error["details"]["context"] == 8192


CHATTING: dict[str, Any] = {"model": models.CHAT, "messages": HI}
GENERATING: dict[str, Any] = {"model": models.CHAT, "prompt": "Hi"}
WRONG = {
    "no messages": ("ollama_chat", {"model": models.CHAT}, "messages is required"),
    "an empty model": ("ollama_chat", {**CHATTING, "model": " "}, "model"),
    "an unknown role": ("ollama_chat", {**CHATTING, "messages": [{"role": "alien"}]}, "role"),
    "an unknown argument": ("ollama_chat", {**CHATTING, "formt": "json"}, "did you mean format"),
    "an option of the wrong type": (
        "ollama_chat",
        {**CHATTING, "options": {"temperature": "hot"}},
        "options.temperature",
    ),
    "an option nearly right": (
        "ollama_generate",
        {**GENERATING, "options": {"temprature": 1}},
        "temperature",
    ),
    "an endless num_predict": ("ollama_chat", {**CHATTING, "options": {"num_predict": 0}}, "num_"),
    "a format": ("ollama_generate", {**GENERATING, "format": "xml"}, "format"),
    "a keep_alive": ("ollama_load", {"model": models.CHAT, "keep_alive": "soon"}, "keep_alive"),
    "a path for a picture": (
        "ollama_generate",
        {**GENERATING, "images": ["/etc/hostname"]},
        "/etc/hostname",
    ),
    "a tool without a name": ("ollama_chat", {**CHATTING, "tools": [{"type": "x"}]}, "tools[0]"),
    "broken JSON": ("ollama_chat", {**CHATTING, "messages": '[{"role"'}, "JSON"),
    "nothing to embed": ("ollama_embed", {"model": models.EMBED, "input": []}, "input"),
    "numbers to embed": ("ollama_embed", {"model": models.EMBED, "input": [1]}, "input"),
    "too many top_logprobs": ("ollama_chat", {**CHATTING, "top_logprobs": 21}, "top_logprobs"),
    "a timeout of nothing": ("ollama_chat", {**CHATTING, "timeout": 0}, "timeout"),
    "n": ("chat_completion", {**CHATTING, "n": 2}, "n above 1"),
    "logit_bias": ("chat_completion", {**CHATTING, "logit_bias": {"1": 1}}, "logit_bias"),
    "a picture by URL": (
        "chat_completion",
        {
            "model": models.CHAT,
            "messages": [user([{"type": "image_url", "image_url": {"url": "http://x/y.png"}}])],
        },
        "images[0]",
    ),
    "a tool_choice of none of the tools": (
        "chat_completion",
        {
            **CHATTING,
            "tools": [WEATHER],
            "tool_choice": {"type": "function", "function": {"name": "fly"}},
        },
        "tool_choice",
    ),
    "a page of no size": ("ollama_list", {"limit": 0}, "limit"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_wrong_argument_is_named_and_never_reaches_the_daemon(
    caller: Caller, tape: recorder.Recorder, wrong: str
) -> None:
    tool, arguments, told = WRONG[wrong]
    error = await caller.error(tool, **arguments)
    pictures = wrong in ("a path for a picture", "a picture by URL")
    code = "permission_denied" if pictures else "invalid_argument"
    assert (error["code"], error["retryable"]) == (code, False)
    assert told in error["message"]
    assert tape.exchanges == []


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"format": {"type": "nope"}}, "nope"),
        ({"template": "{{ .Prompt"}, "template"),
        ({"raw": True, "system": "Be brief."}, "raw"),
    ],
)
async def test_what_only_the_daemon_can_judge_is_the_callers_fault_too(
    caller: Caller, arguments: dict[str, Any], told: str
) -> None:
    error = await caller.error("ollama_generate", **GENERATING, options=SHORT, **arguments)
    assert (error["code"], error["retryable"]) == ("invalid_argument", False)
    assert told in error["message"]


async def test_what_the_runner_says_is_told_without_its_json(caller: Caller) -> None:
    error = await caller.error("ollama_generate", **GENERATING, options=SHORT, context=[999_999])
    assert "999999" in error["message"]
    assert "{" not in error["message"]


async def test_bytes_that_are_no_picture_are_the_callers_fault(caller: Caller) -> None:
    error = await caller.error(
        "ollama_generate", model=models.VISION, prompt="What?", images=["aGVsbG8="], options=SHORT
    )
    assert (error["code"], error["retryable"]) == ("invalid_argument", False)
    assert "image" in error["message"]
    assert "{" not in error["message"]


async def test_an_unknown_tool_and_one_left_out_are_protocol_errors(ollama_host: str) -> None:
    async with in_memory(ollama_host, read_only=True, toolsets="chat,models") as caller:
        offered = {tool.name for tool in await caller.list_tools()}
        assert {"ollama_chat", "ollama_list", "ollama_load"} <= offered
        assert not offered & {"ollama_pull", "ollama_delete", "ollama_create", "ollama_push"}
        for name, told in {
            "ollama_delete": "OLLAMA_MCP_READ_ONLY",
            "ollama_web_search": "OLLAMA_API_KEY",
            "olama_chat": "ollama_chat",
        }.items():
            with pytest.raises(MCPError) as refused:
                await caller.call_tool(name, {})
            assert refused.value.error.code == -32602
            assert told in refused.value.error.message
    async with in_memory(ollama_host, toolsets="models") as caller:
        assert "ollama_chat" not in {tool.name for tool in await caller.list_tools()}
        with pytest.raises(MCPError) as refused:
            await caller.call_tool("ollama_copy", {"source": "a", "destination": "b"})
        assert "OLLAMA_MCP_TOOLSETS=models,publish" in refused.value.error.message


# The daemon takes too long, or breaks


async def test_a_timeout_stops_the_work_and_keeps_what_was_said(ollama_host: str) -> None:
    async with in_memory(ollama_host) as caller:
        await caller.call("ollama_load", model=models.CHAT)
    with wire.start(ollama_host, rate=2000) as slow:
        async with in_memory(slow.url) as caller:
            error = await caller.error(
                "ollama_generate", model=models.CHAT, prompt=STORY, options=LONG, timeout=6000
            )
    assert (error["code"], error["retryable"]) == ("timeout", True)
    assert error["details"]["content"]
    assert "6000 ms" in error["message"]


async def test_a_timeout_before_the_first_word_has_nothing_to_keep(ollama_host: str) -> None:
    with wire.start(ollama_host, delay=5) as late:
        async with in_memory(late.url) as caller:
            error = await caller.error("ollama_embed", model=models.EMBED, input="x", timeout=300)
    assert error["code"] == "timeout"
    assert "details" not in error


async def test_a_stream_that_is_cut_is_no_answer(ollama_host: str) -> None:
    with wire.start(ollama_host, cut=12000) as bad:
        async with in_memory(bad.url) as caller:
            error = await caller.error(
                "ollama_chat",
                model=models.CHAT,
                messages=[user(STORY)],
                options={**LONG, "num_predict": 400},
            )
    assert (error["code"], error["retryable"]) == ("daemon_error", True)
    assert error["details"]["content"]


async def test_a_stream_that_is_garbled_is_no_answer(ollama_host: str) -> None:
    with Garbling(ollama_host) as bad:
        async with in_memory(bad.url) as caller:
            error = await caller.error(
                "ollama_chat",
                model=models.CHAT,
                messages=[user(STORY)],
                options={**LONG, "num_predict": 400},
            )
    assert (error["code"], error["retryable"]) == ("daemon_error", True)
    assert "not JSON" in error["message"]


async def test_a_killed_runner_is_told_and_the_next_call_works(fragile: daemon.Daemon) -> None:
    async with telling_a_story(fragile.url) as (story, caller):
        (victim,) = runner.pids(fragile.pid)
        os.kill(victim, signal.SIGKILL)
        error = (await story).structured_content["error"]
        assert (error["code"], error["retryable"]) == ("daemon_error", True)
        assert error["details"]["content"]
        again = await caller.call(
            "ollama_generate", model=models.CHAT, prompt="Hi", options={"num_predict": 4}
        )
        assert again.structured_content["usage"]["completion_tokens"] > 0


@asynccontextmanager
async def full_queue(fragile: daemon.Daemon) -> AsyncIterator[None]:
    """Hold the one model of a daemon, and fill its queue; let all go at the end."""
    async with telling_a_story(fragile.url) as (story, caller):
        (held,) = runner.pids(fragile.pid)
        os.kill(held, signal.SIGSTOP)
        try:
            waiting = [asyncio.create_task(embed(caller)) for _ in range(2)]
            await asyncio.sleep(0.3)
            yield
        finally:
            os.kill(held, signal.SIGCONT)
        results = [await task for task in (story, *waiting)]
    assert [result.is_error for result in results] == [False] * 3


async def embed(caller: Caller, **more: Any) -> CallToolResult:
    return await caller.call("ollama_embed", model=models.EMBED, input="Hi", **more)


async def test_a_queue_that_stays_full_is_told(
    fragile: daemon.Daemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "PAUSES", (0.1, 0.2))
    async with in_memory(fragile.url) as caller, full_queue(fragile):
        error = await caller.error("ollama_embed", model=models.EMBED, input="Hi")
    assert (error["code"], error["retryable"]) == ("queue_full", True)
    assert "OLLAMA_MAX_QUEUE" in error["hint"]


async def test_a_full_queue_is_waited_for_and_said_so(fragile: daemon.Daemon) -> None:
    notes: list[str] = []
    queued = asyncio.Event()

    async def listen(value: float, total: float | None, message: str | None) -> None:
        notes.append(message or "")
        if notes[-1].startswith("queued"):
            queued.set()

    async with in_memory(fragile.url) as caller:
        async with full_queue(fragile):
            late = asyncio.create_task(embed(caller, on_progress=listen))
            await asyncio.wait_for(queued.wait(), 10)
        assert (await late).structured_content["count"] == 1
    assert any("asking again in" in note for note in notes)


async def test_a_killed_daemon_is_told_and_then_not_reached(fragile: daemon.Daemon) -> None:
    async with telling_a_story(fragile.url) as (story, caller):
        os.kill(fragile.pid, signal.SIGKILL)
        error = (await story).structured_content["error"]
        assert (error["code"], error["retryable"]) == ("daemon_error", True)
        assert error["details"]["content"]
        error = await caller.error("ollama_ps")
        assert error["code"] == "daemon_unreachable"


class Garbling(wire.Wire):
    """A wire that spoils what comes after the first few hundred bytes."""

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sent = 0
        while data := await reader.read(1 << 16):
            writer.write(data if sent < 600 else data.replace(b'"', b"?"))
            sent += len(data)


@asynccontextmanager
async def telling_a_story(url: str) -> AsyncIterator[tuple[asyncio.Task[CallToolResult], Caller]]:
    """A call that is in the middle of its answer, and its client."""
    said = asyncio.Event()

    async def listen(value: float, total: float | None, message: str | None) -> None:
        if (message or "").startswith("writing"):
            said.set()

    async with in_memory(url) as caller:
        story = asyncio.create_task(
            caller.call(
                "ollama_generate",
                model=models.CHAT,
                prompt=STORY,
                options={**LONG, "num_thread": 1},
                on_progress=listen,
            )
        )
        await asyncio.wait_for(said.wait(), 20)
        yield story, caller
