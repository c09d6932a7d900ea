"""Data as models write it: JSON, or nearly, or as Python has it.

Read token by token, each once, so that no text takes long; nothing is evaluated.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ...delegation.structured.strict_json import depth_of, finite, refuse_constant

#: How deeply objects and lists may be nested.
DEEPEST = 50
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>
        \"{3}[^"\\]*(?:(?:\\.|"(?!""))[^"\\]*)*\"{3} | '{3}[^'\\]*(?:(?:\\.|'(?!''))[^'\\]*)*'{3}
        | "[^"\\]*(?:\\.[^"\\]*)*" | '[^'\\]*(?:\\.[^'\\]*)*' )
    | (?P<number>-?\d[\d.eE+-]*)
    | (?P<word>[^\W\d]\w*)
    | (?P<mark>[][{}(),:=]) )""",
    re.DOTALL | re.VERBOSE,
)
_ESCAPE = re.compile(
    r"\\(u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|.)", re.DOTALL
)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "0": "\0", "\n": ""}
_CONSTANTS = {
    **dict.fromkeys(("true", "True"), "true"),
    **dict.fromkeys(("false", "False"), "false"),
    **dict.fromkeys(("null", "None"), "null"),
}
_PAIRS = {"{": "}", "[": "]", "(": ")"}


def read(text: str, start: int = 0) -> tuple[Any, int]:
    """Return the object or list that begins there, and where it ends.

    It may be in single quotes, with Python's constants, bare names, a comma before the end, and
    line breaks within text; at the end of the text the last brace of an object may be missing,
    where another has just ended. With `(` begin the arguments of a call, as an object.

    Raises:
        ValueError: there is none, or none that JSON could say, or it is nested too deeply.
    """
    if text[start : start + 1] in ("{", "["):
        try:
            value, end = _DECODER.raw_decode(text, start)
        except (ValueError, RecursionError):
            pass
        else:
            return _sound(value), end
    written, end = _as_json(text, start)
    return _sound(_DECODER.decode(written)), end


def read_whole(text: str) -> Any:
    """Return the object or list that a text is.

    Raises:
        ValueError: as `read`, or there is more.
    """
    text = text.strip()
    value, end = read(text)
    if text[end:].strip():
        raise ValueError("there is more")
    return value


def _as_json(text: str, start: int) -> tuple[str, int]:
    """Return what begins there as JSON would have it, right or wrong, and where it ends."""
    said: list[str] = []
    closers: list[str] = []
    at = start
    while token := _TOKEN.match(text, at):
        at = token.end()
        piece = token[token.lastgroup or 0]
        if token["mark"] in ("{", "[") or (token["mark"] == "(" and not closers):
            closers.append(_PAIRS[piece])
            said.append("{" if piece == "(" else piece)
        elif token["mark"] in ("}", "]", ")"):
            if not closers or closers.pop() != piece:
                break
            if said[-1] == ",":
                said.pop()
            said.append("}" if piece == ")" else piece)
        elif token["mark"]:
            is_named = piece == "=" and closers == [")"]
            said.append(":" if is_named else piece)
        elif token["word"]:
            named = text[at : at + 20].lstrip()[:1]
            is_key = named == ":" or (named == "=" and closers == [")"])
            said.append(json.dumps(piece) if is_key else _CONSTANTS.get(piece, "?"))
        else:
            said.append(json.dumps(_unquoted(piece)) if token["string"] else piece)
        if not closers:
            return "".join(said), at
        if len(closers) > DEEPEST or said[-1] == "?":
            break
    if closers == ["}"] and said[-1] == "}" and not text[at:].strip():
        return "".join(said) + "}", at
    raise ValueError("no object or list begins here")


def _unquoted(string: str) -> str:
    """Return what a quoted text says; an escape that nobody knows stays as it is."""
    width = 3 if string[:3] in ('"""', "'''") and len(string) >= 6 else 1

    def said(escape: re.Match[str]) -> str:
        code = escape[1]
        if len(code) > 1:
            return chr(int(code[1:], 16))
        return _ESCAPED.get(code, code if code in "\\/'\"" else escape[0])

    text = _ESCAPE.sub(said, string[width:-width])
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _sound(value: Any) -> Any:
    """Return a value that can be sent: not too deep, no half characters."""
    if not isinstance(value, dict | list) or depth_of(value, DEEPEST) > DEEPEST:
        raise ValueError("nested too deeply")
    json.dumps(value, ensure_ascii=False).encode()
    return value


_DECODER = json.JSONDecoder(strict=False, parse_constant=refuse_constant, parse_float=finite)
