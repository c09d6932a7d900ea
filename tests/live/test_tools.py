"""Each tool with a real model behind it, through a server process over stdio and over HTTP."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator
from contextlib import ExitStack
from datetime import datetime, timedelta, timezone
from itertools import pairwise

import pytest
import pytest_asyncio

from scripts.testbed import models
from tests.conftest import Caller, text
from tests.live.sessions import (
    LONG,
    SHORT,
    WEATHER,
    over_http,
    over_stdio,
    picture,
    user,
)

pytestmark = [pytest.mark.live, pytest.mark.asyncio(loop_scope="module")]

#: How the client comes to the server, and the era it asks for ("auto" ends at 2026-07-28).
WAYS = {
    "stdio": ("stdio", "auto"),
    "http": ("http", "auto"),
    "stdio, handshake": ("stdio", "legacy"),
    "http, handshake": ("http", "legacy"),
}
FRANCE = [user("What is the capital of France?")]
OSLO = [user("What is the weather in Oslo?")]
CITY = {
    "type": "object",
    "properties": {"city": {"type": "string", "enum": ["Paris", "Oslo"]}},
    "required": ["city"],
}
COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255), "white": (255,) * 3}
both_transports = pytest.mark.parametrize(
    "session", ["stdio", "http"], indirect=True, scope="module"
)
every_way = pytest.mark.parametrize("session", WAYS, indirect=True, scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["stdio"])
async def session(ollama_host: str, request: pytest.FixtureRequest) -> AsyncIterator[Caller]:
    """A client of a server process, which lives as long as this module's tests need it.

    Each tool has a test over both transports; what is the same there is tested over stdio.
    """
    way, mode = WAYS[request.param]
    with ExitStack() as stack:
        server = (
            over_stdio(ollama_host)
            if way == "stdio"
            else stack.enter_context(over_http(ollama_host))
        )
        async with Caller(server, mode=mode) as caller:
            yield caller


# testbed/chat


@every_way
async def test_chat_answers_in_text_and_in_object(session: Caller) -> None:
    result = await session.call(
        "ollama_chat", model=models.CHAT, messages=FRANCE, options={**LONG, "num_ctx": 2048}
    )
    said = result.structured_content
    assert "Paris" in said["content"]
    assert text(result) == said["content"]
    assert (said["model"], said["done_reason"]) == (models.CHAT, "stop")
    assert said["usage"]["prompt_tokens"] > 5
    assert said["usage"]["context"] == 2048
    assert result.meta["ollama/final"]["eval_count"] == said["usage"]["completion_tokens"]
    assert result.meta["ollama/timings"]["tokens_per_second"] > 0


@every_way
async def test_progress_rises_with_every_note(session: Caller) -> None:
    notes: list[tuple[float, float | None, str]] = []

    async def keep(value: float, total: float | None, message: str | None) -> None:
        notes.append((value, total, message or ""))

    await session.call(
        "ollama_generate",
        model=models.CHAT,
        prompt="Write a long story about a cat.",
        options={**LONG, "num_predict": 32},
        on_progress=keep,
    )
    values = [value for value, _, _ in notes]
    assert len(notes) >= 2
    assert all(earlier < later for earlier, later in pairwise(values))
    assert all(message for _, _, message in notes)
    assert re.fullmatch(r"writing: token \d+(, \d+ tokens/s)?", notes[-1][2])


async def test_a_history_is_read(session: Caller) -> None:
    history = [user("My name is Emma."), {"role": "assistant", "content": "Hello, Emma!"}]
    alone = await session.call("ollama_chat", model=models.CHAT, messages=FRANCE, options=SHORT)
    after = await session.call(
        "ollama_chat", model=models.CHAT, messages=[*history, *FRANCE], options=SHORT
    )
    tokens = [r.structured_content["usage"]["prompt_tokens"] for r in (alone, after)]
    assert tokens[0] + 10 < tokens[1]


@both_transports
async def test_an_answer_cut_at_its_limit_says_so(session: Caller) -> None:
    result = await session.call(
        "ollama_generate", model=models.CHAT, prompt="Write a story.", options={"num_predict": 3}
    )
    said = result.structured_content
    assert (said["done_reason"], said["usage"]["completion_tokens"]) == ("length", 3)
    assert "num_predict" in said["warnings"][0]
    assert said["warnings"][0] in text(result)


@both_transports
async def test_a_schema_shapes_the_answer(session: Caller) -> None:
    result = await session.call(
        "ollama_chat", model=models.CHAT, messages=FRANCE, format=CITY, options=LONG
    )
    assert result.structured_content["data"]["city"] in ("Paris", "Oslo")
    assert json.loads(text(result)) == result.structured_content["data"]


async def test_format_json_gives_json(session: Caller) -> None:
    result = await session.call(
        "ollama_generate",
        model=models.CHAT,
        prompt='Answer with {"city": "Paris"} and nothing else.',
        format="json",
        options=LONG,
    )
    assert isinstance(result.structured_content["data"], dict)


async def test_a_system_prompt_and_a_raw_prompt_reach_the_model(session: Caller) -> None:
    tokens = {}
    for name, more in {"plain": {}, "system": {"system": "Be brief, please."}}.items():
        result = await session.call(
            "ollama_generate", model=models.CHAT, prompt="Hi", options=SHORT, **more
        )
        tokens[name] = result.structured_content["usage"]["prompt_tokens"]
    raw = await session.call(
        "ollama_generate", model=models.CHAT, prompt="Hi", options=SHORT, raw=True
    )
    tokens["raw"] = raw.structured_content["usage"]["prompt_tokens"]
    assert tokens["raw"] < tokens["plain"] < tokens["system"]


async def test_log_probabilities_come_for_each_token(session: Caller) -> None:
    result = await session.call(
        "ollama_generate",
        model=models.CHAT,
        prompt="Say hi.",
        options={"num_predict": 4},
        logprobs=True,
        top_logprobs=2,
    )
    tokens = result.meta["ollama/logprobs"]
    assert len(tokens) == result.structured_content["usage"]["completion_tokens"]
    assert all(token["logprob"] <= 0 for token in tokens)
    assert all(len(token["top_logprobs"]) == 2 for token in tokens)
    assert "logprobs" not in result.structured_content


async def test_the_context_comes_when_asked_for_and_goes_on(session: Caller) -> None:
    asked = {"model": models.CHAT, "options": SHORT}
    first = await session.call("ollama_generate", **asked, prompt="I am Emma.", context=[])
    tokens = first.meta["ollama/context"]
    assert all(isinstance(token, int) for token in tokens)
    second = await session.call("ollama_generate", **asked, prompt="Who am I?", context=tokens)
    assert second.structured_content["usage"]["prompt_tokens"] > len(tokens)
    without = await session.call("ollama_generate", **asked, prompt="Hi")
    assert "ollama/context" not in without.meta


# chat_completion


@both_transports
async def test_a_completion_is_openais_object_in_text_too(session: Caller) -> None:
    result = await session.call(
        "chat_completion", model=models.CHAT, messages=FRANCE, temperature=0, max_tokens=64
    )
    said = result.structured_content
    assert json.loads(text(result)) == said
    assert (said["object"], len(said["choices"])) == ("chat.completion", 1)
    choice, usage = said["choices"][0], said["usage"]
    assert "Paris" in choice["message"]["content"]
    assert (choice["message"]["role"], choice["finish_reason"]) == ("assistant", "stop")
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"]["cached_tokens"] <= usage["prompt_tokens"]


async def test_a_cut_completion_finishes_with_length(session: Caller) -> None:
    result = await session.call(
        "chat_completion", model=models.CHAT, messages=[user("Write a story.")], max_tokens=3
    )
    assert result.structured_content["choices"][0]["finish_reason"] == "length"
    assert result.structured_content["usage"]["completion_tokens"] == 3


async def test_a_stop_text_is_not_in_the_completion(session: Caller) -> None:
    result = await session.call(
        "chat_completion",
        model=models.CHAT,
        messages=FRANCE,
        stop="Paris",
        temperature=0,
        max_tokens=64,
    )
    choice = result.structured_content["choices"][0]
    assert choice["finish_reason"] == "stop"
    assert "Paris" not in choice["message"]["content"]


async def test_a_schema_shapes_the_completion(session: Caller) -> None:
    result = await session.call(
        "chat_completion",
        model=models.CHAT,
        messages=FRANCE,
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": CITY}},
        max_tokens=64,
    )
    content = result.structured_content["choices"][0]["message"]["content"]
    assert json.loads(content)["city"] in ("Paris", "Oslo")


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}]
)
async def test_a_model_without_tools_calls_one_when_it_must(
    session: Caller, choice: object
) -> None:
    result = await session.call(
        "chat_completion",
        model=models.CHAT,
        messages=OSLO,
        tools=[WEATHER],
        tool_choice=choice,
        temperature=0,
        max_tokens=64,
    )
    said = result.structured_content
    (call,) = said["choices"][0]["message"]["tool_calls"]
    assert said["choices"][0]["finish_reason"] == "tool_calls"
    assert said["choices"][0]["message"]["content"] is None
    assert (call["type"], call["function"]["name"]) == ("function", "get_weather")
    assert isinstance(json.loads(call["function"]["arguments"])["city"], str)
    assert call["id"]
    assert any("tool_choice" in warning for warning in said["warnings"])


async def test_a_completions_log_probabilities_are_in_its_choice(session: Caller) -> None:
    result = await session.call(
        "chat_completion",
        model=models.CHAT,
        messages=FRANCE,
        max_tokens=4,
        logprobs=True,
        top_logprobs=1,
    )
    tokens = result.structured_content["choices"][0]["logprobs"]["content"]
    assert len(tokens) == result.structured_content["usage"]["completion_tokens"]


# testbed/tools


@every_way
async def test_a_tool_is_called_and_its_answer_understood(session: Caller) -> None:
    asked = {"model": models.TOOLS, "tools": [WEATHER], "options": LONG}
    result = await session.call("ollama_chat", **asked, messages=OSLO)
    said = result.structured_content
    (call,) = said["tool_calls"]
    assert (call["function"]["name"], call["function"]["arguments"]) == (
        "get_weather",
        {"city": "Oslo"},
    )
    assert call["id"]
    told = next(line for line in text(result).splitlines() if line.startswith("tool_calls: "))
    assert json.loads(told.removeprefix("tool_calls: ")) == said["tool_calls"]
    answer = {"role": "tool", "content": "It is 22 C and sunny.", "tool_name": "get_weather"}
    calling = {"role": "assistant", "content": said["content"], "tool_calls": said["tool_calls"]}
    after = await session.call(
        "ollama_chat",
        **{**asked, "options": SHORT},
        messages=[*OSLO, calling, {**answer, "tool_call_id": call["id"]}],
    )
    assert after.structured_content["content"]
    assert "tool_calls" not in after.structured_content


async def test_a_completion_finishes_with_tool_calls(session: Caller) -> None:
    asked = {"model": models.TOOLS, "tools": [WEATHER], "temperature": 0, "max_tokens": 64}
    result = await session.call("chat_completion", **asked, messages=OSLO)
    choice = result.structured_content["choices"][0]
    (call,) = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert json.loads(call["function"]["arguments"]) == {"city": "Oslo"}
    answer = {"role": "tool", "content": "22 C", "tool_call_id": call["id"]}
    after = await session.call(
        "chat_completion", **asked, messages=[*OSLO, choice["message"], answer]
    )
    choice = after.structured_content["choices"][0]
    assert choice["message"]["content"]
    assert choice["finish_reason"] in ("stop", "length")


# testbed/think


@pytest.mark.parametrize("tool", ["ollama_chat", "ollama_generate"])
async def test_thinking_is_apart_from_the_answer(session: Caller, tool: str) -> None:
    question = {"messages": FRANCE} if tool == "ollama_chat" else {"prompt": FRANCE[0]["content"]}
    result = await session.call(tool, model=models.THINK, think=True, options=LONG, **question)
    said = result.structured_content
    assert said["thinking"]
    assert said["content"]
    assert said["thinking"] not in said["content"]
    assert text(result) == said["content"]


async def test_thinking_can_be_switched_off(session: Caller) -> None:
    result = await session.call(
        "ollama_chat", model=models.THINK, messages=FRANCE, think=False, options=LONG
    )
    assert result.structured_content["content"]
    assert "thinking" not in result.structured_content


async def test_thinking_that_used_the_limit_is_told_from_an_empty_answer(session: Caller) -> None:
    result = await session.call(
        "ollama_chat", model=models.THINK, messages=FRANCE, think=True, options={"num_predict": 2}
    )
    said = result.structured_content
    assert (said["content"], said["done_reason"]) == ("", "length")
    assert "thinking used up the limit" in said["warnings"][0]
    assert said["warnings"][0] in text(result)


async def test_a_completion_has_its_thinking_in_reasoning(session: Caller) -> None:
    result = await session.call(
        "chat_completion",
        model=models.THINK,
        messages=FRANCE,
        reasoning_effort="low",
        temperature=0,
        max_tokens=64,
    )
    message = result.structured_content["choices"][0]["message"]
    assert message["reasoning"]
    assert message["content"]


# testbed/vision, testbed/insert


@pytest.mark.parametrize("colour", COLOURS)
async def test_a_picture_is_seen(session: Caller, colour: str) -> None:
    result = await session.call(
        "ollama_generate",
        model=models.VISION,
        prompt="Which colour is it?",
        images=[picture(*COLOURS[colour])],
        options=SHORT,
    )
    assert colour in result.structured_content["content"].lower()


@both_transports
async def test_a_picture_in_a_message_is_seen(session: Caller) -> None:
    image = f"data:image/png;base64,{picture(0, 0, 255)}"
    in_chat = await session.call(
        "ollama_chat",
        model=models.VISION,
        messages=[user("Which colour is it?", images=[image])],
        options=SHORT,
    )
    assert "blue" in in_chat.structured_content["content"].lower()
    parts = [
        {"type": "text", "text": "Which colour is it?"},
        {"type": "image_url", "image_url": {"url": image}},
    ]
    completed = await session.call(
        "chat_completion",
        model=models.VISION,
        messages=[user(parts)],
        temperature=0,
        max_tokens=8,
    )
    message = completed.structured_content["choices"][0]["message"]
    assert "blue" in message["content"].lower()


async def test_a_gap_is_filled(session: Caller) -> None:
    result = await session.call(
        "ollama_generate",
        model=models.INSERT,
        prompt="The capital of France is",
        suffix="and its river is the Seine.",
        options=SHORT,
    )
    assert result.structured_content["content"]


# testbed/embed


@both_transports
async def test_a_text_becomes_a_unit_vector(session: Caller) -> None:
    result = await session.call("ollama_embed", model=models.EMBED, input="hello")
    said = result.structured_content
    (vector,) = said["embeddings"]
    assert (said["count"], said["dimensions"], len(vector)) == (1, 384, 384)
    assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-5)
    assert said["usage"]["prompt_tokens"] > 0
    assert json.loads(text(result).splitlines()[1]) == vector
    assert "embeddings" not in result.meta["ollama/final"]


async def test_a_batch_keeps_its_order(session: Caller) -> None:
    texts = ["a cat", "the stock market", "a kitten"]
    batch = await session.call("ollama_embed", model=models.EMBED, input=texts)
    cat, market, kitten = batch.structured_content["embeddings"]
    assert dot(cat, kitten) > dot(cat, market)
    for given, vector in zip(texts, (cat, market, kitten), strict=True):
        alone = await session.call("ollama_embed", model=models.EMBED, input=given)
        assert dot(alone.structured_content["embeddings"][0], vector) > 0.999


async def test_dimensions_cut_a_vector_to_a_unit_vector(session: Caller) -> None:
    result = await session.call("ollama_embed", model=models.EMBED, input="hello", dimensions=16)
    (vector,) = result.structured_content["embeddings"]
    assert (result.structured_content["dimensions"], len(vector)) == (16, 16)
    assert math.isclose(math.hypot(*vector), 1, abs_tol=1e-5)


@every_way
async def test_sixteen_calls_at_once_get_each_their_own_answer(session: Caller) -> None:
    texts = [f"text number {index} about {index * index}" for index in range(16)]
    together = await session.call("ollama_embed", model=models.EMBED, input=texts)
    alone = await asyncio.gather(
        *(session.call("ollama_embed", model=models.EMBED, input=given) for given in texts)
    )
    for expected, result in zip(together.structured_content["embeddings"], alone, strict=True):
        assert dot(result.structured_content["embeddings"][0], expected) > 0.999


@every_way
async def test_one_session_serves_call_after_call(session: Caller) -> None:
    for _ in range(2):
        result = await session.call("ollama_embed", model=models.EMBED, input="hello")
        assert not result.is_error
        assert (await session.call("ollama_ps")).structured_content["version"]


@both_transports
async def test_a_model_is_loaded_kept_and_unloaded(session: Caller) -> None:
    loaded = await session.call("ollama_load", model=models.EMBED, keep_alive="30m")
    assert (loaded.structured_content["model"], loaded.structured_content["done_reason"]) == (
        models.EMBED,
        "load",
    )
    row = (await running(session))[models.EMBED]
    left = datetime.fromisoformat(row["expires_at"][:19] + "+00:00") - datetime.now(timezone.utc)
    assert timedelta(minutes=28) < left < timedelta(minutes=31)
    unloaded = await session.call("ollama_load", model=models.EMBED, keep_alive=0)
    assert unloaded.structured_content["done_reason"] == "unload"
    assert await is_gone(session, models.EMBED)


@pytest.mark.parametrize("nothing", ["0", "0s"])
@pytest.mark.parametrize("model", [models.CHAT, models.EMBED])
async def test_a_model_that_is_kept_for_no_time_is_unloaded(
    session: Caller, model: str, nothing: str
) -> None:
    loaded = await session.call("ollama_load", model=model)
    assert loaded.structured_content["done_reason"] == "load"
    assert "nothing was asked" not in text(loaded)
    unloaded = await session.call("ollama_load", model=model, keep_alive=nothing)
    assert await is_gone(session, model)
    assert unloaded.structured_content["done_reason"] == "unload"


async def test_the_window_that_is_told_is_the_daemons(session: Caller) -> None:
    result = await session.call(
        "ollama_generate", model=models.CHAT, prompt="Hi", options={**SHORT, "num_ctx": 10**9}
    )
    row = (await running(session))[models.CHAT]
    assert row["context_length"] < 10**6
    assert result.structured_content["usage"].get("context") in (None, row["context_length"])


# no model named


@pytest.mark.parametrize(
    ("capability", "tool", "arguments"),
    [
        ("tools", "ollama_chat", {"messages": OSLO, "tools": [WEATHER]}),
        ("embedding", "ollama_embed", {"input": "hello"}),
    ],
)
async def test_where_no_model_is_named_one_that_can_is_taken_and_said_so(
    session: Caller, capability: str, tool: str, arguments: dict[str, object]
) -> None:
    result = await session.call(tool, **arguments, options={"num_predict": 2})
    said = result.structured_content
    assert any(f"no model was named; {said['model']} answered" in w for w in said["warnings"])
    able = await session.call("ollama_list", capability=capability)
    assert said["model"] in {row["name"] for row in able.structured_content["models"]}


# the library


@both_transports
async def test_models_are_listed_by_name_and_capability(session: Caller) -> None:
    everything = await session.call("ollama_list", name="testbed/")
    names = {row["name"]: row for row in everything.structured_content["models"]}
    assert {models.CHAT, models.EMBED, f"{models.TOOLS}:latest"} <= set(names)
    assert all(name in text(everything) for name in names)
    assert names[models.EMBED]["capabilities"] == ["embedding"]
    assert names[models.CHAT]["details"]["context_length"] > 1000
    seeing = await session.call("ollama_list", name="TESTBED/", capability="vision")
    assert [row["name"] for row in seeing.structured_content["models"]] == [
        f"{models.VISION}:latest"
    ]
    nothing = await session.call("ollama_list", name="no such model")
    assert (nothing.structured_content["models"], nothing.structured_content["total"]) == ([], 0)


async def test_the_pages_of_the_list_hold_each_model_once(session: Caller) -> None:
    everything = await session.call("ollama_list", name="testbed/")
    names, offset, pages = [], 0, 0
    while offset is not None:
        page = await session.call("ollama_list", name="testbed/", limit=4, offset=offset)
        said = page.structured_content
        assert said["total"] == everything.structured_content["total"]
        names += [row["name"] for row in said["models"]]
        offset, pages = said.get("next_offset"), pages + 1
        assert (f"offset {offset}" in text(page)) is (offset is not None)
    assert names == [row["name"] for row in everything.structured_content["models"]]
    assert pages == math.ceil(len(names) / 4)


@both_transports
async def test_a_model_is_shown_in_short(session: Caller) -> None:
    result = await session.call("ollama_show", model=models.THINK)
    said = result.structured_content
    assert said["capabilities"] == ["completion", "thinking"]
    assert said["details"]["family"] == "llama"
    assert "num_ctx" in said["parameters"]
    assert said["model_info"]["llama.context_length"] > 1000
    assert not {"template", "modelfile", "tensors", "license"} & said.keys()
    assert len(text(result)) < 8000
    assert all(capability in text(result) for capability in said["capabilities"])


@every_way
async def test_a_model_is_shown_whole_when_asked(session: Caller) -> None:
    result = await session.call("ollama_show", model=models.THINK, verbose=True)
    said = result.structured_content
    assert "Thought:" in said["template"]
    assert "FROM" in said["modelfile"]
    assert len(said["tensors"]) > 100
    assert said["template"] in text(result)


@both_transports
async def test_ps_tells_the_daemon_and_what_it_has_loaded(
    session: Caller, ollama_host: str
) -> None:
    await session.call("ollama_embed", model=models.EMBED, input="hello")
    result = await session.call("ollama_ps")
    said = result.structured_content
    assert re.fullmatch(r"\d+\.\d+\.\d+.*", said["version"])
    assert (said["host"], said["cloud"]["disabled"]) == (ollama_host, False)
    row = next(row for row in said["models"] if row["name"] == models.EMBED)
    assert (row["context_length"], row["details"]["family"]) == (256, "bert")
    assert all(row["name"] in text(result) for row in said["models"])
    assert said["version"] in text(result)


async def is_gone(session: Caller, model: str) -> bool:
    """Whether a model leaves the memory; the daemon takes its time."""
    for _ in range(100):
        if model not in await running(session):
            return True
        await asyncio.sleep(0.05)
    return False


async def running(session: Caller) -> dict[str, dict]:
    said = (await session.call("ollama_ps")).structured_content
    return {row["name"]: row for row in said["models"]}


def dot(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
