"""Examples of calls, for models that know none: what tools there are, and a chat that used them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from ...daemon.wire import Part
from .offer import Offered
from .wording import defused

#: What a model says in place of a tool's name when it needs none.
ANSWER = "answer"
NEXT = 'Call another tool if one is needed, else reply:\n{"tool": "answer"}'
#: Characters of a tool's description.
DESCRIPTION = 90
_TALK = "What is the capital of Italy?"
_RESULTS = ("done", "blue")
_PATHS = ("/srv/data/alpha.txt", "/var/lib/beta/one", "/opt/gamma/two.md", "/mnt/delta/three")
_WORDS = ("alpha", "beta", "gamma", "delta")
_IS_PATH = re.compile("path|file|dir|source|destination|folder", re.I)
#: What a task gives literally: quoted, a path, an address.
_SPAN = re.compile(
    r'"[^"\n]{1,300}"|`[^`\n]{1,300}`|https?://[^\s"<>]+|(?<![^\s(\[])[~.]{0,2}/[^\s"\'`<>|:*?]+'
)


def parameters(one: Offered) -> dict[str, Any]:
    """Return the parameters of a tool, as the model is told them."""
    told: dict[str, Any] = one.function["function"]["parameters"]
    return told


def listed(called: Mapping[str, Offered]) -> str:
    """Return the tools as a system prompt lists them, by the names that decisions use."""
    return "\n".join(
        [
            "You can use these tools:",
            *(f"- {_signature(name, one)}: {_description(one)}" for name, one in called.items()),
            f"- {ANSWER}: no tool is needed, or the result is there",
            "",
            'Reply with {"tool": NAME, "arguments": {...}}.',
        ]
    )


def _signature(name: str, one: Offered) -> str:
    required = parameters(one).get("required") or ()
    given = [
        f"{defused(key, 60)}{'' if key in required else '?'}: {_kind(part)}"
        for key, part in (parameters(one).get("properties") or {}).items()
    ]
    return f"{name}({', '.join(given)})"


def _kind(part: dict[str, Any]) -> str:
    if values := part.get("enum"):
        return defused("|".join(json.dumps(value, ensure_ascii=False) for value in values), 200)
    kind = part.get("type") or "any"
    return "|".join(kind) if isinstance(kind, list) else str(kind)


def _description(one: Offered) -> str:
    text = str(one.function["function"].get("description") or "").strip()
    return re.split(r"(?<=\.)\s", text, maxsplit=1)[0][:DESCRIPTION]


def examples(called: Mapping[str, Offered]) -> Iterator[Part]:
    """Yield a chat in which each tool was called once, and answered."""
    answer = json.dumps({"tool": ANSWER})
    yield {"role": "user", "content": _TALK}
    yield {"role": "assistant", "content": answer}
    for number, (name, one) in enumerate(called.items()):
        given = _sample(parameters(one), number)
        lead = " ".join([re.sub(r"[\W_]+", " ", name).capitalize(), *_flat(given)]) + "."
        call = json.dumps({"tool": name, "arguments": given}, ensure_ascii=False)
        result = f"{name} returned:\n{_RESULTS[number % len(_RESULTS)]}\n{NEXT}"
        yield {"role": "user", "content": with_values(lead)}
        yield {"role": "assistant", "content": call}
        yield {"role": "user", "content": result}
        yield {"role": "assistant", "content": answer}


def with_values(text: str) -> str:
    """Return a task with what it gives literally repeated below it, where it is copied from."""
    found = dict.fromkeys(span.strip('"`').rstrip(".,;:!?)]}'") for span in _SPAN.findall(text))
    values = [json.dumps(span, ensure_ascii=False) for span in found if len(span) > 1]
    return f"{text}\nGiven: {', '.join(values)}" if values else text


def _sample(told: dict[str, Any], number: int) -> dict[str, Any]:
    """Return arguments such as a tool's required ones."""
    properties = told.get("properties") or {}
    return {
        name: _value(properties.get(name) or {}, name, number + 2 * place)
        for place, name in enumerate(told.get("required") or ())
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
