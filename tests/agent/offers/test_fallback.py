"""Decisions of models that know no tools: what they are shown, and what theirs means."""

from __future__ import annotations

from typing import Any

import pytest

from ollama_mcp_server.agent.events import Call
from ollama_mcp_server.agent.offers.fallback import (
    WITH_THAT,
    answering,
    call_of,
    deciding,
    is_known,
    names,
    schema,
    task_of,
)
from ollama_mcp_server.agent.offers.offer import offer
from tests.agent.scripted import tool

READ = tool("read", path={"type": "string"})
NOW = tool("now")
TASK = {"role": "user", "content": "Read /data/a.txt, please."}


def called(name: str, result: str, /, **arguments: Any) -> list[dict[str, Any]]:
    """Return the messages of one call and its result."""
    function = {"name": name, "arguments": arguments}
    return [
        {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": function}]},
        {"role": "tool", "tool_name": name, "tool_call_id": "c1", "content": result},
    ]


@pytest.mark.parametrize(
    ("servers", "expected"),
    [
        ({"fs": [READ, NOW]}, {"read", "now"}),
        ({"fs": [READ], "db": [READ, NOW]}, {"fs__read", "db__read", "now"}),
        ({"fs": [tool("answer"), NOW]}, {"fs__answer", "now"}),
    ],
    ids=["alone", "twice", "taken"],
)
def test_a_tool_goes_by_its_own_name_where_nothing_else_does(
    servers: dict[str, Any], expected: set[str]
) -> None:
    offered = offer(servers, "")[0]
    assert set(names(offered)) == expected
    for name, one in names(offered).items():
        assert call_of({"tool": name}, offered, "c1") == Call(one.name, {}, "c1")


def test_a_tool_without_parameters_takes_none() -> None:
    arms = schema(offer({"fs": [NOW]}, "")[0])["anyOf"]
    assert arms[0]["properties"]["arguments"]["additionalProperties"] is False


@pytest.mark.parametrize("said", [{"tool": "answer"}, {"tool": "delete"}, {}, [], None, "read"])
def test_what_is_no_call_is_an_answer(said: Any) -> None:
    assert call_of(said, offer({"fs": [READ]}, "")[0], "c1") is None


def test_what_the_task_gives_is_repeated_where_it_is_copied_from() -> None:
    said = deciding([TASK], offer({"fs": [READ]}, "")[0])
    assert said[0]["role"] == "system"
    assert "read(path: string): Does read." in said[0]["content"]
    assert said[-1]["content"] == 'Read /data/a.txt, please.\nGiven: "/data/a.txt"'


def test_the_likeliest_tool_is_shown_last() -> None:
    offered = offer({"fs": [READ, NOW]}, "")[0]
    lines = deciding([TASK], offered)[0]["content"].splitlines()
    assert [line[:6] for line in lines if line.startswith("- ")] == ["- now(", "- read", "- answ"]


@pytest.mark.parametrize(
    ("history", "known"),
    [
        (called("fs__read", "text", path="a"), True),
        (called("fs__read", "Error: no such file", path="a"), False),
        (called("fs__read", "[data from fs]\nError: no such file", path="a"), False),
        (called("fs__read", "text", path="b"), False),
        ([*called("fs__read", "text", path="a"), {"role": "assistant", "content": "Hm."}], False),
        ([], False),
    ],
    ids=["same", "failed", "failed-marked", "other", "earlier", "none"],
)
def test_the_same_call_again_would_say_no_more(history: list[Any], known: bool) -> None:
    assert is_known(Call("fs__read", {"path": "a"}, "c2"), [TASK, *history]) is known


def test_words_are_asked_for_below_what_the_tools_said() -> None:
    (said,) = answering([TASK, *called("fs__read", "the token", path="a")])
    assert said["content"].startswith(f"{TASK['content']}\n\n")
    assert said["content"].endswith(f"\n\n{WITH_THAT}")
    assert "the token" in said["content"]
    assert 'read {"path": "a"} returned:' in said["content"]


def test_the_task_is_what_the_user_asked_last() -> None:
    nudge = {"role": "user", "content": "Use another tool."}
    assert task_of([TASK, *called("fs__read", "text", path="a"), nudge]) == TASK["content"]
    assert task_of([]) == ""
