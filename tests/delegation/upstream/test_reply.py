"""Chunks of many servers as Ollama's parts."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.daemon.wire import Part
from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.upstream.reply import Reply, dropped
from ollama_mcp_server.errors import DaemonError


def delta(finish: str | None = None, **said: Any) -> Part:
    return {"model": "m", "choices": [{"index": 0, "delta": said, "finish_reason": finish}]}


def piece(index: int | None, arguments: Any = "", **more: str) -> Part:
    function = {"arguments": arguments} | ({"name": more.pop("name")} if "name" in more else {})
    where = {} if index is None else {"index": index}
    return {**where, "function": function, **more}


def answer_of(*chunks: Part, done: bool = True) -> tuple[Answer, Reply]:
    reply, answer = Reply("asked"), Answer()
    for chunk in chunks:
        if (part := reply.take(chunk)) is not None:
            answer.add(part)
    for part in reply.end(done=done, nanoseconds=7):
        answer.add(part)
    return answer, reply


def calls_of(*pieces: Part) -> list[tuple[Any, str, Any]]:
    chunks = [delta(tool_calls=[one]) for one in pieces]
    answer, _ = answer_of(*chunks, delta("tool_calls"))
    return [
        (call.get("id"), call["function"]["name"], call["function"]["arguments"])
        for call in answer.tool_calls
    ]


def test_an_answer_and_its_counts() -> None:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    answer, _ = answer_of(
        delta(role="assistant", content=""),
        delta(content="Par"),
        delta(content="is"),
        delta("stop"),
        {"model": "m-2024", "choices": [], "usage": usage},
    )
    assert answer.content == "Paris"
    assert answer.final == {
        "model": "m-2024",
        "message": {"role": "assistant", "content": ""},
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 9,
        "eval_count": 2,
        "prompt_eval_cached_count": 4,
        "total_duration": 7,
    }


def test_what_was_not_counted_is_not_told() -> None:
    answer, _ = answer_of(delta(content="x"), delta("stop"))
    assert not {name for name in answer.final if name.endswith("_count")}


def test_cached_tokens_of_deepseek() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_cache_hit_tokens": 5}
    answer, _ = answer_of({**delta("stop", content="x"), "usage": usage})
    assert answer.final["prompt_eval_cached_count"] == 5


@pytest.mark.parametrize(
    "said",
    [
        {"reasoning_content": "hm"},
        {"reasoning": "hm", "content": ""},
        {"reasoning": "hm", "reasoning_content": "hm", "content": None},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]},
    ],
)
def test_thoughts_of_many_servers(said: dict[str, Any]) -> None:
    text = {"content": [{"type": "text", "text": "ok"}]}
    answer, _ = answer_of(delta(**said), delta(**text), delta("stop"))
    assert (answer.thinking, answer.content) == ("hm", "ok")


def test_a_refusal_is_an_answer() -> None:
    answer, _ = answer_of(delta(refusal="I will not"), delta("stop"))
    assert answer.content == "I will not"


@pytest.mark.parametrize(
    ("finish", "reason"), [("stop", "stop"), ("tool_calls", "stop"), ("length", "length")]
)
def test_why_it_ended(finish: str, reason: str) -> None:
    answer, reply = answer_of(delta(content="x"), delta(finish))
    assert answer.done_reason == reason
    assert reply.warnings == []


def test_a_filter_is_told() -> None:
    _, reply = answer_of(delta("content_filter", content="x"))
    assert "content filter" in reply.warnings[0]


def test_calls_are_joined_by_index() -> None:
    assert calls_of(
        piece(0, id="a", name="first", arguments=""),
        piece(1, id="b", name="second", arguments='{"x"'),
        piece(0, '{"city": "Pa'),
        piece(1, ": 1}"),
        piece(0, 'ris"}'),
    ) == [("a", "first", {"city": "Paris"}), ("b", "second", {"x": 1})]


def test_whole_calls_may_share_an_index_or_have_none() -> None:
    same = [piece(0, '{"x":1}', id="a", name="f"), piece(0, '{"x":2}', id="b", name="f")]
    none = [piece(None, '{"x":1}', name="f"), piece(None, '{"x":2}', name="f")]
    assert [arguments for _, _, arguments in calls_of(*same)] == [{"x": 1}, {"x": 2}]
    assert [arguments for _, _, arguments in calls_of(*none)] == [{"x": 1}, {"x": 2}]


def test_a_name_or_an_id_that_is_repeated_is_one() -> None:
    pieces = [piece(0, '{"x":', id="a", name="f"), piece(0, "1}", id="a", name="f")]
    assert calls_of(*pieces) == [("a", "f", {"x": 1})]


def test_an_id_that_changes_without_a_name_is_the_same_call() -> None:
    pieces = [piece(0, '{"x":', id="a", name="f"), piece(0, "1}", id="b")]
    assert calls_of(*pieces) == [("a", "f", {"x": 1})]


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("", {}),
        ("null", {}),
        ("{}", {}),
        ({"x": 1}, {"x": 1}),
        ('{"city": "Pa', '{"city": "Pa'),
        ("[1]", "[1]"),
        ('"{}"', '"{}"'),
        ("[" * 100_000, "[" * 100_000),
    ],
)
def test_arguments_are_an_object_or_the_text_that_came(sent: Any, got: Any) -> None:
    assert calls_of(piece(0, sent, id="a", name="f")) == [("a", "f", got)]


@pytest.mark.parametrize(
    "chunks",
    [
        [],
        [delta(content="half an ans")],
        [delta(content="x"), delta("abort")],
        [delta(content="x"), delta("insufficient_system_resource")],
    ],
)
def test_an_answer_that_was_cut_is_an_error(chunks: list[Part]) -> None:
    with pytest.raises(DaemonError, match="was cut"):
        answer_of(*chunks, done=False)


def test_nothing_but_done_is_an_error() -> None:
    with pytest.raises(DaemonError, match="was cut"):
        answer_of(done=True)


def test_done_without_a_reason_is_told() -> None:
    answer, reply = answer_of(delta(content="x"), done=True)
    assert answer.done_reason == "stop"
    assert "may be cut" in reply.warnings[0]


@pytest.mark.parametrize(
    "odd",
    [
        {"choices": None},
        {"choices": {"a": 1}},
        {"choices": ["x"]},
        {"choices": [{"delta": None}]},
        {"choices": [{"delta": {"content": 5, "tool_calls": None}}]},
        {"choices": [{"delta": {"tool_calls": ["x", {"function": None}]}}], "usage": []},
    ],
)
def test_odd_chunks_do_no_harm(odd: Part) -> None:
    answer, _ = answer_of(odd, delta("stop", content="x"))
    assert (answer.content, answer.tool_calls) == ("x", [])


def test_a_prompt_of_which_little_was_read_is_told() -> None:
    request = {"messages": [{"role": "user", "content": "word " * 6000}]}
    assert "1026 tokens" in str(dropped(request, {"prompt_eval_count": 1026}))
    assert dropped(request, {"prompt_eval_count": 6010}) is None
    assert dropped(request, {}) is None
    indented = {"messages": [{"role": "user", "content": (" " * 60 + "x\n") * 200}]}
    assert dropped(indented, {"prompt_eval_count": 800}) is None
