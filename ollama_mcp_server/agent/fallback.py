"""Tool calls for models that know none: examples to follow, and a JSON Schema to keep to.

The request is a chat in which each offered tool was called once already, so that even a model
of 135 million parameters sees how it is done; the answer can only be a call, or "answer".
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from ..daemon.wire import Part
from .events import Call
from .offer import Offered
from .relevance import scores

#: What a model says in place of a tool's name when it needs none.
ANSWER = "answer"
#: Tools that examples are shown of: the likeliest stand last, where a small model looks.
EXAMPLES = 6
NEXT = 'Call another tool if one is needed, else reply:\n{"tool": "answer"}'
IN_WORDS = "Now answer in words."
_TALK = ("What is the capital of Italy?", "Good morning!")
_RESULTS = ("done", "blue")
_PATHS = ("/srv/data/alpha.txt", "/var/lib/beta/one", "/opt/gamma/two.md", "/mnt/delta/three")
_WORDS = ("alpha", "beta", "gamma", "delta")
_IS_PATH = re.compile("path|file|dir|source|destination|folder", re.I)
#: What a task gives literally: quoted, a path, an address.
_SPAN = re.compile(
    r'"[^"\n]{1,300}"|`[^`\n]{1,300}`|https?://[^\s"<>]+|(?:~|\.{0,2})/[^\s"\'`<>|:*?]+'
)


def schema(offered: Sequence[Offered]) -> dict[str, Any]:
    """Return the form of a decision: a call of one of the tools, or an answer."""
    arms: list[dict[str, Any]] = [
        {
            "type": "object",
            "properties": {
                "tool": {"const": one.name},
                "arguments": one.function["function"]["parameters"],
            },
            "required": ["tool", "arguments"],
        }
        for one in offered
    ]
    arms.append({"type": "object", "properties": {"tool": {"const": ANSWER}}, "required": ["tool"]})
    return {"anyOf": arms}


def call_of(data: Any, number: str) -> Call | None:
    """Return the call that a decision asks for, with the id `number`; None for an answer."""
    if not isinstance(data, dict) or data.get("tool") in (ANSWER, None):
        return None
    return Call(str(data["tool"]), data.get("arguments") or {}, number)


def deciding(messages: Sequence[Part], offered: Sequence[Offered]) -> list[Part]:
    """Return the messages that ask a model for its decision."""
    task = next((str(m["content"]) for m in reversed(messages) if m["role"] == "user"), "")
    ranks = scores(task, [(one.server, one.tool) for one in offered])
    ranked = [one for _, one in sorted(zip(ranks, offered, strict=True), key=lambda pair: pair[0])]
    system = [str(m["content"]) for m in messages if m["role"] == "system"]
    shown = _examples(ranked[-EXAMPLES:])
    said = [m for m in _plainly(messages, NEXT) if m["role"] != "system"]
    told = [
        {**m, "content": _with_values(m["content"])} if m["role"] == "user" and number == 0 else m
        for number, m in enumerate(said)
    ]
    return [{"role": "system", "content": "\n\n".join([*system, _tools(ranked)])}, *shown, *told]


def answering(messages: Sequence[Part]) -> list[Part]:
    """Return the messages that ask for words, after whatever was called."""
    return _plainly(messages, IN_WORDS)


def _plainly(messages: Sequence[Part], after: str) -> list[Part]:
    """Return a history without tool messages, for templates that would leave them out."""
    plain: list[Part] = []
    for message in messages:
        role, content = message["role"], str(message.get("content") or "")
        if role == "tool":
            told = f"{message.get('tool_name')} returned:\n{content}"
            if plain and plain[-1].get("is_result"):
                plain[-1]["content"] += f"\n\n{told}"
            else:
                plain.append({"role": "user", "content": told, "is_result": True})
        elif role == "assistant" and message.get("tool_calls"):
            made = [
                json.dumps(
                    {
                        "tool": call["function"]["name"],
                        "arguments": call["function"].get("arguments") or {},
                    },
                    ensure_ascii=False,
                )
                for call in message["tool_calls"]
            ]
            plain.append(
                {"role": "assistant", "content": "\n".join([*filter(None, [content]), *made])}
            )
        else:
            plain.append({k: v for k, v in message.items() if k != "thinking"})
    for message in plain:
        if message.pop("is_result", False) and after and message is plain[-1]:
            message["content"] += f"\n{after}"
    return plain


def _tools(offered: Sequence[Offered]) -> str:
    lines = [f"- {one.name}: {_first(one.tool.description or '')}".rstrip(": ") for one in offered]
    return "\n".join(
        [
            "You can use these tools:",
            *lines,
            f"- {ANSWER}: no tool is needed, or the result is there",
            "",
            'Reply with {"tool": NAME, "arguments": {...}}.',
        ]
    )


def _examples(offered: Sequence[Offered]) -> list[Part]:
    """Return a chat in which each tool was called once."""
    said: list[tuple[str, str]] = []
    answer = json.dumps({"tool": ANSWER})
    for number, one in enumerate(offered):
        if number < len(_TALK):
            said += [("user", _TALK[number]), ("assistant", answer)]
        arguments = _sample(one.function["function"]["parameters"], number)
        lead = " ".join([one.tool.name.replace("_", " ").capitalize(), *_flat(arguments)]) + "."
        call = json.dumps({"tool": one.name, "arguments": arguments})
        said += [("user", _with_values(lead)), ("assistant", call)]
        if number < len(_RESULTS):
            said += [
                ("user", f"{one.name} returned:\n{_RESULTS[number]}\n{NEXT}"),
                ("assistant", answer),
            ]
    return [{"role": role, "content": content} for role, content in said]


def _with_values(text: str) -> str:
    """Return a task with what it gives literally repeated below it, where it is copied from."""
    found = dict.fromkeys(span.strip('"`').rstrip(".,;:!?)]}'") for span in _SPAN.findall(text))
    values = [json.dumps(span, ensure_ascii=False) for span in found if len(span) > 1]
    return f"{text}\nGiven: {', '.join(values)}" if values else text


def _sample(parameters: dict[str, Any], number: int) -> dict[str, Any]:
    """Return arguments such as a tool's required ones."""
    properties = parameters.get("properties") or {}
    return {
        name: _value(properties.get(name) or {}, name, number + 2 * place)
        for place, name in enumerate(parameters.get("required") or ())
    }


def _value(part: dict[str, Any], name: str, number: int) -> Any:
    kind = part.get("type")
    if part.get("enum"):
        return part["enum"][0]
    if kind in ("integer", "number"):
        return 3 + number
    if kind == "boolean":
        return True
    if kind == "array":
        return [_value(part.get("items") or {}, name, number)]
    if kind == "object":
        return _sample(part, number)
    return (_PATHS if _IS_PATH.search(name) else _WORDS)[number % 4]


def _flat(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _flat(each)]
    if isinstance(value, list):
        return [text for each in value for text in _flat(each)]
    return [str(value)]


def _first(text: str, most: int = 90) -> str:
    return re.split(r"(?<=\.)\s", text.strip(), maxsplit=1)[0][:most]
