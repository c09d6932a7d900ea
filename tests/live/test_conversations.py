"""Conversations that the server keeps, with real models, across its own end and beyond a window."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastmcp.client.client import CallToolResult

from scripts.testbed import models, recorder
from scripts.testbed.daemon import Daemon
from scripts.testbed.recorder import Recorder
from tests.conftest import Caller, text
from tests.live.sessions import in_memory, over_http, over_stdio, user

pytestmark = pytest.mark.live

SHORT = {"num_predict": 8, "temperature": 0}
#: A window so small that two long turns do not fit.
NARROW = {**SHORT, "num_ctx": 512}
NAME, COLOUR, ASK = "My name is Emma.", "I like the colour teal.", "What is my name?"
#: Of about 250 tokens.
LONG = "The quick brown fox jumps over the lazy dog. " * 25
CITY = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
#: More than 5 s of work: counting goes on, and one thread is slow.
SLOW = {"num_ctx": 2048, "num_thread": 1, "num_predict": 400, "temperature": 0, "stop": ["###"]}


@pytest.fixture
def tape(ollama: Daemon) -> Iterator[Recorder]:
    with recorder.start(ollama.url) as seen:
        yield seen


@pytest.fixture
async def caller(tape: Recorder) -> AsyncIterator[Caller]:
    async with in_memory(tape.url) as caller:
        yield caller


async def say(caller: Caller, content: str, handle: str = "new", **more: Any) -> CallToolResult:
    """One turn; must end well."""
    given = {"model": models.CHAT, "options": SHORT, "messages": [user(content)], **more}
    result = await caller.call("ollama_chat", conversation=handle, **given)
    assert not result.is_error, text(result)
    return result


def handle_of(result: CallToolResult) -> str:
    handle: str = result.structured_content["conversation"]
    assert f"[conversation: {handle}]" in text(result)
    return handle


def sent(tape: Recorder) -> list[list[str]]:
    """The texts of the messages of each chat request."""
    asked = [seen.json["messages"] for seen in tape.exchanges if seen.path == "/api/chat"]
    return [[message["content"] for message in messages] for messages in asked]


async def read(caller: Caller, handle: str) -> list[dict[str, Any]]:
    """The messages of a conversation's resource."""
    (part,) = await caller.read_resource(f"ollama://conversations/{handle}")
    kept = json.loads(part.text)
    assert kept["conversation"] == handle
    messages: list[dict[str, Any]] = kept["messages"]
    return messages


# turns


@pytest.mark.parametrize("state", ["file", "disk"])
async def test_it_goes_on_in_another_server_process(
    tape: Recorder, tmp_path: Path, state: str
) -> None:
    where = (tmp_path / "state").as_uri() if state == "file" else "disk"
    environment = {"OLLAMA_MCP_STATE_URL": where, "XDG_STATE_HOME": str(tmp_path / "home")}
    async with Caller(over_stdio(tape.url, **environment)) as caller:
        first = await say(caller, NAME)
        await caller.transport.disconnect()
    handle = handle_of(first)
    async with Caller(over_stdio(tape.url, **environment)) as caller:
        again = await caller.call(
            "ollama_chat", conversation=handle, messages=[user(ASK)], options=SHORT
        )
        assert not again.is_error, text(again)
        (row,) = (await caller.call("ollama_conversations")).structured_content["conversations"]
    assert sent(tape) == [[NAME], [NAME, first.structured_content["content"], ASK]]
    assert again.structured_content["model"] == models.CHAT
    assert "no model was named" not in text(again)
    tokens = [r.structured_content["usage"]["prompt_tokens"] for r in (first, again)]
    assert tokens[1] > tokens[0]
    assert (row["handle"], row["turns"], row["title"]) == (handle, 2, NAME)


async def test_over_http(tape: Recorder) -> None:
    with over_http(tape.url) as url:
        async with Caller(url) as caller:
            handle = handle_of(await say(caller, NAME))
        async with Caller(url) as caller:
            await say(caller, ASK, handle)
    assert sent(tape)[1][::2] == [NAME, ASK]


async def test_the_resource_and_the_list_have_it_until_it_is_forgotten(caller: Caller) -> None:
    first, other = handle_of(await say(caller, NAME)), handle_of(await say(caller, COLOUR))
    messages = await read(caller, first)
    assert [message["role"] for message in messages] == ["user", "assistant"]
    listed = (await caller.call("ollama_conversations")).structured_content
    assert [row["handle"] for row in listed["conversations"]] == [other, first]
    assert f"ollama://conversations/{first}" in [str(r.uri) for r in await caller.list_resources()]
    after = (await caller.call("ollama_conversations", forget=first)).structured_content
    assert [row["handle"] for row in after["conversations"]] == [other]
    error = await caller.error("ollama_chat", conversation=first, messages=[user(ASK)])
    assert error["code"] == "not_found"
    assert (await caller.call("ollama_conversations", forget="all")).structured_content[
        "total"
    ] == 0


async def test_a_profile_stays(tape: Recorder) -> None:
    """The one who began with a profile need not name it again."""
    profile = {"model": models.CHAT, "system": "Answer like a pirate.", "options": SHORT}
    async with in_memory(tape.url, profiles={"pirate": profile}) as caller:
        handle = handle_of(await say(caller, NAME, model="pirate"))
        result = await caller.call("ollama_chat", conversation=handle, messages=[user(ASK)])
        assert not result.is_error, text(result)
        messages = await read(caller, handle)
    assert [asked[0] for asked in sent(tape)] == ["Answer like a pirate."] * 2
    assert [message["role"] for message in messages] == ["user", "assistant"] * 2


async def test_another_model_may_go_on(caller: Caller, tape: Recorder) -> None:
    handle = handle_of(await say(caller, NAME))
    result = await say(caller, ASK, handle, model=models.TOOLS)
    assert result.structured_content["model"] == models.TOOLS
    third = await caller.call("ollama_chat", conversation=handle, messages=[user("Bye.")],
                              options=SHORT)  # fmt: skip
    assert third.structured_content["model"] == models.TOOLS
    assert sent(tape)[2][::2] == [NAME, ASK, "Bye."]


async def test_data_and_files_are_part_of_it(tape: Recorder, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Falcons nest on the tower.")
    async with in_memory(tape.url, roots=(tmp_path,)) as caller:
        first = await say(
            caller, "Where?", format=CITY, files="a.txt", options={**SHORT, "num_predict": 32}
        )
        assert first.structured_content["data"] == {"city": "Paris"}
        await say(caller, ASK, handle_of(first))
    question, answer, last = sent(tape)[1]
    assert "Falcons nest on the tower." in question
    assert json.loads(answer) == {"city": "Paris"}
    assert last == ASK


# what goes wrong


@pytest.mark.parametrize("wrong", [
    {"model": "testbed/absent"},
    {"format": {"type": "nope"}},
    {"files": "absent.txt"},
    {"options": {"num_ctx": 512}, "messages": [user(LONG * 4)]},
    {"timeout": 1},
], ids=["model", "format", "files", "overflow", "timeout"])  # fmt: skip
async def test_a_turn_that_fails_leaves_it_as_it_was(caller: Caller, wrong: dict[str, Any]) -> None:
    handle = handle_of(await say(caller, NAME))
    before = await read(caller, handle)
    given = {"model": models.CHAT, "messages": [user("Lost.")], **wrong}
    for begun in (handle, "new"):
        await caller.error("ollama_chat", conversation=begun, **given)
    assert await read(caller, handle) == before
    listed = (await caller.call("ollama_conversations")).structured_content["conversations"]
    assert [row["handle"] for row in listed] == [handle]
    await say(caller, ASK, handle)
    assert len(await read(caller, handle)) == 4


async def test_a_turn_that_is_cancelled_leaves_it_as_it_was(caller: Caller) -> None:
    handle = handle_of(await say(caller, NAME))
    before = await read(caller, handle)
    call = asyncio.create_task(say(caller, "1 2 3 4 5 6 7", handle, options=SLOW))
    await asyncio.sleep(1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert await read(caller, handle) == before
    await say(caller, ASK, handle)


async def test_two_turns_at_once_follow_one_another(caller: Caller, tape: Recorder) -> None:
    handle = handle_of(await say(caller, NAME))
    await asyncio.gather(say(caller, "One.", handle), say(caller, "Two.", handle))
    messages = await read(caller, handle)
    assert [message["role"] for message in messages] == ["user", "assistant"] * 3
    assert sorted(len(asked) for asked in sent(tape)) == [1, 3, 5]


# what does not fit


async def long_one(caller: Caller) -> str:
    """A conversation of two long turns, the second of which was the last that fits."""
    first = await say(caller, f"{NAME} {LONG}", options=NARROW)
    return handle_of(first)


async def test_by_default_it_is_refused_with_what_to_do(caller: Caller) -> None:
    handle = await long_one(caller)
    error = await caller.error("ollama_chat", conversation=handle, messages=[user(LONG)],
                               model=models.CHAT, options=NARROW)  # fmt: skip
    assert error["code"] == "context_overflow"
    assert error["details"]["prompt_tokens"] > error["details"]["context"] == 512
    assert all(word in error["hint"] for word in ("drop_oldest", "summarize"))
    assert len(await read(caller, handle)) == 2


async def test_the_oldest_turns_are_dropped_where_that_is_asked_for(
    caller: Caller, tape: Recorder
) -> None:
    handle = await long_one(caller)
    result = await say(caller, LONG, handle, options=NARROW, on_overflow="drop_oldest")
    note = "the oldest 2 of 3 messages did not fit the window and were dropped"
    assert note in result.structured_content["warnings"]
    assert f"[{note}]" in text(result)
    assert sent(tape)[-1] == [LONG]
    assert (await read(caller, handle))[0]["content"] == LONG
    assert result.structured_content["usage"]["prompt_tokens"] < 512


async def test_the_oldest_turns_are_summarised_where_that_is_asked_for(
    caller: Caller, tape: Recorder
) -> None:
    handle = await long_one(caller)
    result = await say(caller, ASK + LONG, handle, options=NARROW, on_overflow="summarize")
    note = "the oldest 2 of 3 messages did not fit the window and were replaced by a summary"
    assert note in result.structured_content["warnings"]
    asked = sent(tape)
    summarising = [messages[0] for messages in asked if "Summarise it in at most" in messages[0]]
    assert summarising
    assert NAME in summarising[0]
    assert asked[-1][0].startswith("Summary of the first part of our conversation:")
    assert asked[-1][-1] == ASK + LONG
    kept = [message["content"] for message in await read(caller, handle)]
    assert kept[:3] == asked[-1]
    assert result.structured_content["usage"]["prompt_tokens"] < 512


# jobs


@pytest.fixture
async def hurried(tape: Recorder) -> AsyncIterator[Caller]:
    """A client of a server that answers with a job after half a second."""
    async with in_memory(tape.url, wait=0.5) as caller:
        yield caller


async def finished(caller: Caller, began: CallToolResult) -> CallToolResult:
    assert began.structured_content["status"] == "running", began
    for _ in range(200):
        result = await caller.call("ollama_job", job=began.structured_content["job"])
        if result.structured_content.get("status") != "running":
            return result
    raise TimeoutError


async def test_a_turn_that_becomes_a_job_is_kept_once_it_is_done(
    hurried: Caller, tape: Recorder
) -> None:
    counting = {"messages": [user("1 2 3 4 5 6 7 8 9 10 11 12")], "options": SLOW}
    began = await hurried.call("ollama_chat", model=models.CHAT, conversation="new", **counting)
    assert (await hurried.call("ollama_conversations")).structured_content["total"] == 0
    result = await finished(hurried, began)
    said = result.structured_content
    messages = await read(hurried, handle_of(result))
    assert [message["content"] for message in messages][1] == said["content"]
    assert said["content"].startswith(began.structured_content.get("content", ""))


async def test_data_of_a_job(hurried: Caller) -> None:
    listed = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 9},
              "minItems": 120, "maxItems": 120}  # fmt: skip
    schema = {"type": "object", "properties": {"a": listed}, "required": ["a"]}
    began = await hurried.call(
        "ollama_generate", model=models.CHAT, prompt="Count.", format=schema,
        options={**SLOW, "num_predict": 1000},
    )  # fmt: skip
    said = (await finished(hurried, began)).structured_content
    assert len(said["data"]["a"]) == 120
    assert "content" not in said


async def test_a_job_that_fails_keeps_nothing(hurried: Caller, tape: Recorder) -> None:
    odd = {
        "type": "object",
        "properties": {"a": {"type": "string", "pattern": "(?=z)zq[^a]x!?$", "maxLength": 60}},
        "required": ["a"],
    }
    began = await hurried.call(
        "ollama_chat", model=models.CHAT, conversation="new", messages=[user("Give me JSON.")],
        format=odd, options={**SLOW, "num_predict": 100}, retries=4,
    )  # fmt: skip
    result = await finished(hurried, began)
    assert result.is_error
    assert result.structured_content["error"]["code"] == "tool_failed"
    assert (await hurried.call("ollama_conversations")).structured_content["total"] == 0
