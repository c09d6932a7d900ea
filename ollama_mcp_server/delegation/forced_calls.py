"""Calls of tools that a client insists on: `tool_choice`, which the daemon ignores.

They are made by constrained output: the model writes the call as JSON, which becomes the call.
"""

import json
from typing import Any

from ..errors import InvalidArgument
from .answer import Answer

_CALL_FIRST = """\
Call exactly one of these functions. Answer with nothing but its call, as JSON: \
{"name": "<function>", "arguments": {…}}.
"""


def forced_call(tools: list[dict[str, Any]], choice: Any) -> tuple[dict[str, Any], str] | None:
    """Return the schema and the instruction that make a model call a tool, if `choice` asks so.

    The daemon ignores tool_choice, so `required` and a named tool are done by constrained output.

    Raises:
        InvalidArgument: the choice names no tool of the request.
    """
    if choice in (None, "auto", "none"):
        return None
    named = choice.get("function", choice).get("name") if isinstance(choice, dict) else None
    functions = [
        tool["function"]
        for tool in tools
        if choice == "required" or tool["function"]["name"] == named
    ]
    if not functions:
        raise InvalidArgument(
            "tool_choice must be none, auto, required or a function of tools",
            'As in {"type": "function", "function": {"name": "get_weather"}}',
        )
    arms = [
        {
            "type": "object",
            "required": ["name", "arguments"],
            "properties": {
                "name": {"const": function["name"]},
                "arguments": function.get("parameters") or {"type": "object"},
            },
        }
        for function in functions
    ]
    told = "\n".join(
        f"- {function['name']}: {function.get('description') or ''} "
        f"{json.dumps(function.get('parameters') or {})}"
        for function in functions
    )
    return (arms[0] if len(arms) == 1 else {"anyOf": arms}), _CALL_FIRST + told


def take_forced_call(answer: Answer) -> bool:
    """Turn an answer made by `forced_call` into a tool call; False if it was cut before its end."""
    try:
        call = json.loads(answer.content)
    except ValueError:
        return False
    answer.tool_calls = [{"function": {"name": call["name"], "arguments": call["arguments"]}}]
    answer.content = ""
    return True
