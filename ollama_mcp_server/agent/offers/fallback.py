"""Tool calls for models that know none: examples to follow, and a JSON Schema to keep to.

A model decides first: the request is a chat in which some of the offered tools were called already,
so that even a model of 135 million parameters sees how it is done, and the answer can only be a
call, or "answer". If that is what it says, it is asked for its answer in words, freely, and
without the examples.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...daemon.wire import Part
from ..events import Call
from .examples import ANSWER, NEXT, examples, listed, parameters, with_values
from .offer import JOINT, Offered
from .relevance import words

#: Tools that examples are shown of: the likeliest stand last, where a small model looks.
EXAMPLES = 4
#: Characters of a description that are compared with the task.
COMPARED = 300
WITH_THAT = "Answer with that."
_IS_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: A result that says that its call failed, as data or not.
_FAILED = re.compile(r"(?:\[[^\n]*\]\n)?Error: ")


def names(offered: Sequence[Offered]) -> dict[str, Offered]:
    """Return the tools by what a decision calls them: their own names, where nothing else has them.

    What all names begin with, as their server's name, keeps a small model from telling them apart.
    """
    taken = Counter(name for one in offered for name in (ANSWER, *{one.name, one.tool.name}))
    return {
        own if taken[own := one.tool.name] == 1 and _IS_NAME.fullmatch(own) else one.name: one
        for one in offered
    }


def schema(offered: Sequence[Offered]) -> dict[str, Any]:
    """Return the form of a decision: a call of one of the tools, or an answer."""
    arms = [
        {"tool": {"const": name}, "arguments": _closed(parameters(one))}
        for name, one in names(offered).items()
    ]
    return {
        "anyOf": [
            {"type": "object", "properties": arm, "required": [*arm]}
            for arm in (*arms, {"tool": {"const": ANSWER}})
        ]
    }


def _closed(told: dict[str, Any]) -> dict[str, Any]:
    """Return parameters that are none without room for any: a model would make some up."""
    return told if told.get("properties") else {**told, "additionalProperties": False}


def call_of(data: Any, offered: Sequence[Offered], number: str) -> Call | None:
    """Return the call that a decision asks for, with the id `number`; None for an answer."""
    one = names(offered).get(str(data.get("tool"))) if isinstance(data, dict) else None
    return Call(one.name, data.get("arguments") or {}, number) if one is not None else None


def is_known(call: Call, messages: Sequence[Part]) -> bool:
    """Return whether the last calls were the same one, and it went well: it would say no more."""
    made, results = _last_calls(messages)
    same = [
        function.get("name") == call.name and (function.get("arguments") or {}) == call.arguments
        for function in made
    ]
    return any(same) and all(same) and not any(_FAILED.match(result) for result in results)


def _last_calls(messages: Sequence[Part]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the calls that the model made last for this task, and their results."""
    results: list[str] = []
    for message in reversed(messages):
        if message["role"] == "tool":
            results.append(str(message.get("content") or ""))
        elif message["role"] == "assistant" and message.get("tool_calls") and results:
            return [call["function"] for call in message["tool_calls"]], results
        elif results or message["role"] == "assistant":
            break
    return [], []


def deciding(messages: Sequence[Part], offered: Sequence[Offered]) -> list[Part]:
    """Return the messages that ask a model for its decision."""
    called = names(offered)
    ranked = sorted(called, key=lambda name: share(task_of(messages), called[name]))
    short = {one.name: name for name, one in called.items()}
    system = [str(m["content"]) for m in messages if m["role"] == "system"]
    told = [m for m in _exchanged(messages, short) if m["role"] != "system"]
    if told and messages[-1]["role"] == "tool":
        told[-1] = {**told[-1], "content": f"{told[-1]['content']}\n{NEXT}"}
    system.append(listed({name: called[name] for name in ranked}))
    shown = examples({name: called[name] for name in ranked[-EXAMPLES:]})
    return [{"role": "system", "content": "\n\n".join(system)}, *shown, *told]


def task_of(messages: Sequence[Part]) -> str:
    """Return the newest message of the user that stands not right behind a tool's."""
    before = [{"role": ""}, *messages]
    asked = [
        str(message.get("content") or "")
        for previous, message in zip(before, messages, strict=False)
        if message["role"] == "user" and previous["role"] != "tool"
    ]
    return asked[-1] if asked else ""


def share(task: str, one: Offered) -> float:
    """Return how much a tool has in common with a task; a short name that does counts most."""
    wanted, name = words(task), words(one.tool.name)
    description = words((one.tool.description or "")[:COMPARED])
    return 3 * len(name & wanted) / (1 + 0.2 * len(name)) + 0.3 * len(description & wanted)


def answering(messages: Sequence[Part]) -> list[Part]:
    """Return the messages that ask for words: what tools said stands below what was asked."""
    plain: list[Part] = []
    called: dict[str, str] = {}
    for message in messages:
        content = str(message.get("content") or "")
        if message["role"] == "tool":
            name = str(message.get("tool_name") or "")
            said = called.get(str(message.get("tool_call_id")), name.partition(JOINT)[2] or name)
            said = f"{said} returned:\n{content}"
            if plain and plain[-1]["role"] == "user":
                plain[-1]["content"] += f"\n\n{said}"
            else:
                plain.append({"role": "user", "content": said})
            continue
        for call in message.get("tool_calls") or ():
            name, function = str(call["function"].get("name")), call["function"]
            given = json.dumps(function.get("arguments") or {}, ensure_ascii=False)
            called[str(call.get("id"))] = f"{name.partition(JOINT)[2] or name} {given}"
        if content or not message.get("tool_calls"):
            plain.append({**_bare(message), "content": content})
    if messages and messages[-1]["role"] == "tool":
        plain[-1]["content"] += f"\n\n{WITH_THAT}"
    return plain


def _exchanged(messages: Sequence[Part], short: Mapping[str, str]) -> Iterator[Part]:
    """Yield a history with calls and results as text, by the names that decisions use."""
    results: list[str] = []
    for message in messages:
        content = str(message.get("content") or "")
        if message["role"] == "tool":
            name = str(message.get("tool_name"))
            results.append(f"{short.get(name, name)} returned:\n{content}")
            continue
        if results:
            yield {"role": "user", "content": "\n\n".join(results)}
            results = []
        if message["role"] == "user":
            content = with_values(content)
        for call in message.get("tool_calls") or ():
            name, given = call["function"].get("name"), call["function"].get("arguments") or {}
            made = json.dumps(
                {"tool": short.get(name, name), "arguments": given}, ensure_ascii=False
            )
            content = f"{content}\n{made}".lstrip()
        yield {**_bare(message), "content": content}
    if results:
        yield {"role": "user", "content": "\n\n".join(results)}


def _bare(message: Part) -> Part:
    return {key: value for key, value in message.items() if key not in ("thinking", "tool_calls")}
