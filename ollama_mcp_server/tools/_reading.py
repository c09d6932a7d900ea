"""How arguments are read: what callers write, and what it means.

Many hosts write an object as a JSON string, and so do the clients of other Ollama servers: where
an object or a list is wanted, its JSON text does as well.
"""

import json
import re
from typing import Any

_DURATION = re.compile(r"-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")


def from_json(value: Any) -> Any:
    """Return what a JSON text for an object or a list says; anything else as it is."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError as error:
            raise ValueError(f"is not valid JSON: {error}") from None
    return value


def to_format(value: Any) -> Any:
    """Return None for free text, "json" for JSON mode, or a JSON Schema."""
    value = from_json(value)
    if value is None or isinstance(value, dict) or value == "json":
        return value or None
    if value in ("", "markdown", "text"):
        return None
    raise ValueError('must be "json", "markdown" or a JSON Schema object')


def to_keep_alive(value: Any) -> Any:
    """Return seconds, or a duration as Go writes it."""
    if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
        return int(value)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    if isinstance(value, str) and _DURATION.fullmatch(value):
        return value
    raise ValueError('must be a duration such as "10m", a number of seconds, 0 or -1')


def to_think(value: Any) -> Any:
    """Return a boolean or a level."""
    if isinstance(value, str) and value.lower() in ("true", "false"):
        return value.lower() == "true"
    if value is None or (isinstance(value, bool | str) and value != ""):
        return value
    raise ValueError('must be true, false or a level such as "low", "medium", "high"')


def to_texts(value: Any) -> Any:
    """Return one text, or a list of texts, as a list."""
    if value is None:
        return None
    value = from_json(value) if isinstance(value, str) and value.lstrip()[:1] == "[" else value
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError("must be text, or a list of texts")
    if not texts:
        raise ValueError("must hold at least one text")
    return texts


def to_image(value: Any) -> str:
    """Return where a picture is, or the picture itself; what it holds is looked at later."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a path, base64 or a data: URI")
    return value


def to_tool(value: Any) -> Any:
    """Return a tool as Ollama wants it; a bare function, or an MCP tool, is put in its form."""
    value = from_json(value)
    if not isinstance(value, dict):
        raise ValueError("must be an object with a function")
    function = value.get("function", value)
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise ValueError(
            'needs function.name, as in {"type": "function", "function": '
            '{"name": "get_weather", "parameters": {"type": "object"}}}'
        )
    if "inputSchema" in function:
        function = {k: v for k, v in function.items() if k != "inputSchema"} | {
            "parameters": function["inputSchema"]
        }
    if not isinstance(function.get("parameters", {}), dict):
        raise ValueError("function.parameters must be a JSON Schema object")
    return {"type": "function", **(value if "function" in value else {}), "function": function}


def to_items(value: Any) -> Any:
    """Return a list of texts and objects."""
    value = from_json(value)
    if value is None or (
        isinstance(value, list) and all(isinstance(item, str | dict) for item in value)
    ):
        return value
    raise ValueError('must be a list of texts or objects, such as ["a", "b"] or [{"title": "a"}]')
