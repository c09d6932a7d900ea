"""How models write one call: as JSON of many shapes, in tags, or as code."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

from ..events import Call
from ..offers.offer import Offered
from .literals import read, read_whole

#: Returns the tool that a name means, if it is offered.
Find: TypeAlias = Callable[[str], "Offered | None"]

#: Calls of one list, at most.
MOST = 32
_NAMES = ("name", "function", "tool", "tool_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input")
_IDS = ("id", "call_id", "tool_call_id")
#: What may stand beside them, and around them.
_BESIDE = {*_IDS, "type", "index", "thought", "reasoning"}
_AROUND = ("tool_calls", "tool_call", "function_call")
#: Keys of a JSON Schema: with `properties` among them, a tool is described and not called.
_DESCRIBING = {"type", "properties", "required", "description", "additionalProperties", "$schema"}

_FUNCTION = re.compile(r"<function(?:=|\s+name=)[\"']?([^\s<>\"']{1,256})[\"']?\s*>\s*")
_PARAMETER = re.compile(r"\s*<parameter(?:=|\s+name=)[\"']?([^\s<>\"']{1,256})[\"']?\s*>\n?")
_PARAMETER_END = re.compile(r"\n?(?:</parameter>|(?=<parameter[= ])|(?=</function>))|\Z")
#: A name and its arguments: `name{"a": 1}`, `name[ARGS]{"a": 1}`, `name(a=1)`.
_NAMED = re.compile(r"([^\W\d][\w.:/-]{0,255}?)(?:\.call)?\s*(?:\[ARGS\]\s*)?(?=[({])")


def read_calls(text: str, at: int, find: Find, *, is_marked: bool) -> tuple[list[Call], int]:
    """Return the calls that begin there, and where they end; none where it is something else.

    After a tag (`is_marked`) a name may stand before its arguments, arguments may be missing or
    wrong, and other keys may be there.

    Raises:
        ValueError: what begins there cannot be read.
    """
    if function := _FUNCTION.match(text, at):
        arguments, end = _tagged(text, function.end())
        return _call({"name": function[1], "arguments": arguments}, find, is_marked=True), end
    if text.startswith(("{", "["), at):
        value, end = read(text, at)
        return _calls(value, find, is_marked), end
    if is_marked and (named := _NAMED.match(text, at)):
        arguments, end = read(text, named.end())
        return _call({"name": named[1], "arguments": arguments}, find, is_marked=True), end
    return [], at


def _tagged(text: str, at: int) -> tuple[dict[str, Any], int]:
    """Return the arguments after `<function=NAME>`: JSON, or a tag for each, as text.

    Raises:
        ValueError: they are JSON that cannot be read.
    """
    if text.startswith("{", at):
        return read(text, at)
    arguments = {}
    while parameter := _PARAMETER.match(text, at):
        closed = _PARAMETER_END.search(text, parameter.end())
        if closed is None:  # `\Z` is always found
            break
        arguments[parameter[1]] = text[parameter.end() : closed.start()]
        at = closed.end()
    return arguments, at


def _calls(value: Any, find: Find, is_marked: bool, depth: int = 0) -> list[Call]:
    """Return the calls that data is; none if any part of it is something else."""
    if isinstance(value, list) and len(value) <= MOST:
        found = [_calls(part, find, is_marked, depth + 1) for part in value]
        return [call for calls in found for call in calls] if all(found) else []
    if not isinstance(value, dict) or depth > 3:
        return []
    for around in _AROUND:
        if around in value and value.keys() <= {around, "content", "role", *_BESIDE}:
            return _calls(value[around], find, is_marked, depth + 1)
    function = value.get("function")
    if isinstance(function, dict) and value.keys() <= {"function", *_BESIDE}:
        return _call({**function, "id": _id(value)}, find, is_marked)
    return _call(value, find, is_marked)


def _call(value: dict[str, Any], find: Find, is_marked: bool) -> list[Call]:
    """Return the call that an object is, if it is one."""
    name = next((key for key in _NAMES if isinstance(value.get(key), str)), None)
    given = next((key for key in _ARGUMENTS if key in value), None)
    if name is None or (found := find(value[name])) is None:
        return []
    arguments = value[given] if given else {}
    is_whole = given and value.keys() <= {name, given, *_BESIDE} and _is_given(arguments)
    if not (is_whole or is_marked) or _describes(arguments, found):
        return []
    return [Call(found.name, arguments, _id(value))]


def _is_given(arguments: Any) -> bool:
    """Return whether these can be arguments: an object, the JSON of one, or nothing."""
    if isinstance(arguments, str) and arguments.strip():
        try:
            arguments = read_whole(arguments)
        except ValueError:
            return False
    return isinstance(arguments, dict) or arguments in (None, "", [])


def _describes(arguments: Any, found: Offered) -> bool:
    """Return whether this is the schema of a tool's arguments, repeated, and no arguments."""
    if not isinstance(arguments, dict) or not isinstance(arguments.get("properties"), dict):
        return False
    parameters = found.function.get("function", {}).get("parameters", {})
    return arguments.keys() <= _DESCRIBING and "properties" not in parameters.get("properties", {})


def _id(value: dict[str, Any]) -> str:
    return next((value[key] for key in _IDS if isinstance(value.get(key), str)), "")
