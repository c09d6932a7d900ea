"""Which model answers, and as whom: names, aliases, profiles, choices, pulls, and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from fastmcp.client.client import CallToolResult

from scripts.testbed import daemon, models, recorder
from scripts.testbed.recorder import Recorder
from tests.conftest import Caller, text
from tests.live.sessions import (
    CACHE,
    VERSION,
    WEATHER,
    in_memory,
    over_stdio,
    own_daemon,
    picture,
    user,
)

pytestmark = pytest.mark.live

TOOLS = ("ollama_chat", "ollama_generate", "chat_completion")
each_tool = pytest.mark.parametrize("tool", TOOLS)
RED = picture(255, 0, 0)
#: A copy of the vision model, newer than the others.
EYES = "mine/eyes:latest"
ALIASES = {"fast": models.TOOLS, "mine": "pirate"}
PIRATE = {
    "model": "fast",
    "system": "Answer like a pirate.",
    "options": {"num_predict": 3, "seed": 7},
    "keep_alive": "3m",
}


def asking(tool: str, question: str = "Say hi.", images: Any = None, **more: Any) -> dict[str, Any]:
    """The arguments of a short call, whatever the tool; `more` as they are."""
    short: dict[str, Any] = {"options": {"num_predict": 4, "temperature": 0}}
    if tool == "ollama_generate":
        short |= {"prompt": question, **({"images": images} if images else {})}
    elif tool == "ollama_chat":
        short |= {"messages": [user(question, **({"images": images} if images else {}))]}
    else:
        parts = [{"type": "text", "text": question}]
        parts += [{"type": "image_url", "image_url": {"url": image}} for image in images or ()]
        short = {"messages": [user(parts)], "max_tokens": 4, "temperature": 0}
    return {**short, **more}


def told(result: CallToolResult) -> str:
    """The warnings of an answer."""
    return " ".join(result.structured_content.get("warnings", ()))


def answerer(result: CallToolResult) -> str:
    assert not result.is_error, text(result)
    return result.structured_content["model"]


def sent(tape: Recorder) -> list[dict[str, Any]]:
    """The requests that asked a model something."""
    asked = ("/api/chat", "/api/generate", "/api/embed")
    bodies = [seen.json for seen in tape.exchanges if seen.path in asked]
    return [body for body in bodies if body.get("messages") or body.get("prompt")
            or body.get("input")]  # fmt: skip


@pytest.fixture(scope="module")
def url(ollama_host: str) -> Iterator[str]:
    """A daemon with the test models, and a second that sees."""
    with own_daemon() as (ollama, _):
        body = {"source": models.VISION, "destination": EYES}
        httpx.post(f"{ollama.url}/api/copy", json=body).raise_for_status()
        yield ollama.url


@pytest.fixture
def tape(url: str) -> Iterator[Recorder]:
    with recorder.start(url) as seen:
        yield seen


def unload(url: str) -> None:
    for row in httpx.get(f"{url}/api/ps").json()["models"]:
        httpx.post(f"{url}/api/generate", json={"model": row["name"], "keep_alive": 0}, timeout=60)


# names


@each_tool
async def test_an_alias_stands_for_its_model(url: str, tool: str) -> None:
    async with in_memory(url, aliases=ALIASES) as caller:
        result = await caller.call(tool, **asking(tool, model="fast"))
    assert answerer(result) == models.TOOLS
    assert "no model was named" not in told(result)


@each_tool
@pytest.mark.parametrize("name", ["pirate", "mine"])
async def test_a_profile_brings_what_the_caller_left_out(
    tape: Recorder, tool: str, name: str
) -> None:
    given = asking(tool, model=name)
    given.pop("options", given.pop("max_tokens", None))
    async with in_memory(tape.url, aliases=ALIASES, profiles={"pirate": PIRATE}) as caller:
        result = await caller.call(tool, **given)
    (body,) = sent(tape)
    assert answerer(result) == body["model"] == models.TOOLS
    assert (body["options"]["num_predict"], body["options"]["seed"]) == (3, 7)
    assert body["keep_alive"] == "3m"
    system = (body.get("messages") or [{"content": body.get("system")}])[0]["content"]
    assert system == PIRATE["system"]
    assert result.structured_content["usage"]["completion_tokens"] <= 3


@each_tool
async def test_what_the_caller_gives_wins_over_the_profile(tape: Recorder, tool: str) -> None:
    given = asking(tool, model="pirate")
    if tool == "ollama_generate":
        given |= {"system": "Be kind."}
    else:
        given["messages"].insert(0, {"role": "system", "content": "Be kind."})
    if tool != "chat_completion":
        given |= {"keep_alive": "4m"}
    async with in_memory(tape.url, aliases=ALIASES, profiles={"pirate": PIRATE}) as caller:
        await caller.call(tool, **given)
    (body,) = sent(tape)
    assert (body["options"]["num_predict"], body["options"]["seed"]) == (4, 7)
    assert body["keep_alive"] == ("3m" if tool == "chat_completion" else "4m")
    said = body.get("messages", [{"role": "system", "content": body.get("system")}])
    assert [m["content"] for m in said if m["role"] == "system"] == ["Be kind."]


async def test_aliases_and_profiles_of_the_environment(url: str) -> None:
    server = over_stdio(
        url,
        OLLAMA_MCP_ALIASES=f"fast={models.TOOLS}",
        OLLAMA_MCP_PROFILES='{"brief": {"model": "fast", "options": {"num_predict": 2}}}',
    )
    async with Caller(server) as caller:
        result = await caller.call("ollama_generate", model="brief", prompt="Say hi.")
    assert answerer(result) == models.TOOLS
    assert result.structured_content["usage"]["completion_tokens"] <= 2


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ("ollama_chat", "TestBed/CHAT:135M"),
        ("ollama_generate", "testbed/tools"),
        ("chat_completion", "testbed/tools:LATEST"),
        ("ollama_chat", "registry.ollama.ai/testbed/chat:135m"),
    ],
)
async def test_names_are_what_they_are_to_the_daemon(url: str, tool: str, name: str) -> None:
    async with in_memory(url) as caller:
        result = await caller.call(tool, **asking(tool, model=name))
    assert answerer(result) == name
    # The row of the model was found, or its window would not be known.
    if tool != "chat_completion":  # whose usage is OpenAI's
        assert result.structured_content["usage"]["context"] == 2048


@each_tool
async def test_a_name_that_is_not_there_is_told_with_those_that_come_near(
    url: str, tool: str
) -> None:
    async with in_memory(url) as caller:
        error = await caller.error(tool, **asking(tool, model="testbed/chatt:135m"))
    assert error["code"] == "model_not_found"
    assert error["details"]["nearest"][0] == models.CHAT
    assert models.CHAT in error["hint"]


# no name


@each_tool
async def test_the_configured_default_answers(url: str, tool: str) -> None:
    async with in_memory(url, model="fast", aliases=ALIASES) as caller:
        result = await caller.call(tool, **asking(tool))
    assert answerer(result) == models.TOOLS
    assert "configured default" in told(result)


@each_tool
async def test_a_loaded_one_answers_else_the_largest(url: str, tool: str) -> None:
    unload(url)
    async with in_memory(url) as caller:
        await caller.call("ollama_load", model=models.INSERT)
        loaded = await caller.call(tool, **asking(tool))
        unload(url)
        largest = await caller.call(tool, **asking(tool))
    assert (answerer(loaded), "it is loaded" in told(loaded)) == (f"{models.INSERT}:latest", True)
    sizes = {
        row["name"]: row["details"]["parameter_size"]
        for row in httpx.get(f"{url}/api/tags").json()["models"]  # noqa: ASYNC210
        if "completion" in row["capabilities"]
    }
    assert sizes[answerer(largest)] == max(sizes.values())
    assert "the largest that fits" in told(largest)


@each_tool
async def test_a_picture_is_for_a_model_that_sees(url: str, tool: str) -> None:
    given = asking(tool, "Which colour is it?", [f"data:image/png;base64,{RED}"])
    unload(url)
    async with in_memory(url, model=models.CHAT) as caller:
        result = await caller.call(tool, **given)
        assert answerer(result) in (EYES, f"{models.VISION}:latest")
        assert "red" in text(result).lower()
    async with in_memory(url, aliases={"vision": models.VISION}) as caller:
        await caller.call("ollama_load", model=EYES)
        result = await caller.call(tool, **given)
    assert answerer(result) == models.VISION
    assert "configured default" in told(result)


async def test_texts_are_embedded_by_a_model_that_embeds(url: str) -> None:
    for aliases in ({}, {"embed": models.EMBED}):
        async with in_memory(url, model=models.CHAT, aliases=aliases) as caller:
            result = await caller.call("ollama_embed", input="Hello")
        assert answerer(result) == models.EMBED


# what a model cannot do


LACKING = {
    "tools": [("ollama_chat", {"tools": [WEATHER]}), ("chat_completion", {"tools": [WEATHER]})],
    "vision": [(tool, {"images": [f"data:image/png;base64,{RED}"]}) for tool in TOOLS],
    "thinking": [
        ("ollama_chat", {"think": True}),
        ("ollama_generate", {"think": "low"}),
        ("chat_completion", {"reasoning_effort": "low"}),
    ],
    "insert": [("ollama_generate", {"suffix": "end"})],
    "completion": [(tool, {"model": models.EMBED}) for tool in TOOLS],
}
ABLE = {
    "tools": models.TOOLS,
    "vision": models.VISION,
    "thinking": models.THINK,
    "insert": models.INSERT,
    "completion": models.CHAT,
}


@pytest.mark.parametrize(
    ("capability", "tool", "more"),
    [(need, tool, more) for need, calls in LACKING.items() for tool, more in calls],
    ids=[f"{need}-{tool}" for need, calls in LACKING.items() for tool, _ in calls],
)
async def test_what_a_model_cannot_do_is_refused_unasked(
    tape: Recorder, capability: str, tool: str, more: dict[str, Any]
) -> None:
    async with in_memory(tape.url) as caller:
        error = await caller.error(tool, **asking(tool, **{"model": models.CHAT, **more}))
    assert error["code"] == "capability_missing"
    assert error["details"]["capability"] == capability
    able = error["details"]["candidates"]
    assert any(name.startswith(ABLE[capability]) for name in able)
    assert models.EMBED not in able
    assert able[0] in error["hint"]
    assert {seen.path for seen in tape.exchanges} <= {"/api/tags", "/api/ps", "/api/show"}


async def test_a_chat_model_embeds_nothing(tape: Recorder) -> None:
    async with in_memory(tape.url) as caller:
        error = await caller.error("ollama_embed", model=models.CHAT, input="Hello")
    assert (error["code"], error["details"]["candidates"]) == ("capability_missing", [models.EMBED])
    assert sent(tape) == []


async def test_where_none_can_the_unnamed_call_is_refused(url: str) -> None:
    with TemporaryDirectory(dir=CACHE) as folder:  # noqa: SIM117
        with daemon.start(CACHE, version=VERSION, store=Path(folder)) as empty:
            async with in_memory(empty.url) as caller:
                error = await caller.error("ollama_generate", prompt="Hi")
    assert error["code"] == "capability_missing"
    assert "ollama_pull" in error["hint"]
