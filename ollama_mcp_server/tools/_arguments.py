"""Argument types that several tools share: what each accepts, and how it is told.

Many hosts write an object as a JSON string, and so do the clients of other Ollama servers: where
an object or a list is wanted, its JSON text does as well.
"""

import base64
import binascii
import json
import re
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
)
from pydantic.config import JsonDict

from ..daemon.options import Options

_DURATION = re.compile(r"-?(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")


#: Schemas that several arguments have.
OBJECTS = {"type": "array", "items": {"type": "object"}}
TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def shown(schema: dict[str, Any], description: str) -> WithJsonSchema:
    """Publish an argument with this schema, whatever type it is checked against."""
    return WithJsonSchema({**schema, "description": description})


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
    """Return a picture's plain base64; a `data:` prefix is taken off."""
    text = value if isinstance(value, str) else ""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    text = "".join(text.split())
    try:
        if not base64.b64decode(text, validate=True):
            raise ValueError("is empty")
    except binascii.Error:
        raise ValueError("must be base64 or a data: URI; paths and URLs are not read") from None
    return text


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


Image = Annotated[str, BeforeValidator(to_image)]


class Given(BaseModel):
    """Base of the objects that callers give: strict, and published without its docstring."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra=lambda schema: schema.pop("description", None)
    )


class Function(Given):
    """The function of a call that a model made."""

    name: str
    arguments: Annotated[dict[str, Any], BeforeValidator(from_json)] = {}
    index: int | None = None
    description: str | None = None


class Call(Given):
    """A call that a model made, as it stands in the history."""

    id: str | None = None
    type: str | None = None
    function: Function


class Message(Given):
    """A message of a chat (`api.Message` in Ollama)."""

    role: Literal["system", "user", "assistant", "tool"] = "user"
    content: str = ""
    images: list[Image] | None = Field(None, description="base64 or data: URIs.")
    thinking: str | None = Field(None, json_schema_extra={"hidden": True})
    tool_calls: Annotated[
        list[Call] | None,
        BeforeValidator(from_json),
        shown(OBJECTS, "The assistant's own calls."),
    ] = None
    tool_name: str | None = Field(None, description="role tool: which tool answers.")
    tool_call_id: str | None = None

    def sent(self) -> dict[str, Any]:
        """Return the message for the daemon."""
        return self.model_dump(exclude_none=True, exclude={"tool_calls": {"__all__": {"type"}}})


Model = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1),
    Field(description="Model name, as in ollama_list: qwen3:8b."),
]
OptionalModel = Annotated[
    Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)] | None,
    Field(
        description="Model name, as in ollama_list: qwen3:8b. Default: the configured one, else "
        "one that is loaded, else the largest that fits."
    ),
]
Messages = Annotated[
    list[Message],
    BeforeValidator(from_json),
    Field(description="The conversation, oldest first; empty loads the model."),
]
Images = Annotated[
    list[Image] | None,
    BeforeValidator(from_json),
    Field(description="Pictures for a vision model, as base64 or data: URIs."),
]
ChatTools = Annotated[
    list[Annotated[dict[str, Any], BeforeValidator(to_tool)]] | None,
    BeforeValidator(from_json),
    Field(
        description='Functions that the model may call: {"type": "function", "function": '
        '{"name", "description", "parameters"}}. Calls come back in tool_calls; nothing is run.'
    ),
]
Format = Annotated[
    Any,
    BeforeValidator(to_format),
    shown(
        {"anyOf": [{"type": "string", "enum": ["json", "markdown"]}, {"type": "object"}]},
        "A JSON Schema that the answer must follow, or json (any JSON); default is free text "
        "(markdown).",
    ),
]
ModelOptions = Annotated[
    Options | None,
    BeforeValidator(from_json),
    shown(
        {"type": "object", "additionalProperties": True},
        'Ollama\'s options: {"temperature": 0.2, "num_ctx": 8192, "num_predict": 500, "seed": 1, '
        '"stop": ["END"], "top_p": 0.9}. num_ctx is the window in tokens.',
    ),
]
KeepAlive = Annotated[
    Any,
    BeforeValidator(to_keep_alive),
    shown(
        {"anyOf": [{"type": "string"}, {"type": "number"}]},
        "How long the model stays loaded afterwards: 10m, 0 (unload at once), -1 (for ever). "
        "Default 5m.",
    ),
]
Think = Annotated[
    Any,
    BeforeValidator(to_think),
    shown(
        {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
        "Thinking models: true, false, or a level such as low, medium, high. Default: the model's "
        "own.",
    ),
]
# Accepted, and not listed, since every host would pay for their descriptions with every request:
# docs/tools.md has them.
HIDDEN: JsonDict = {"hidden": True}
Timeout = Annotated[
    int | None,
    Field(
        ge=1,
        description="Milliseconds after which the work is stopped; default none.",
        json_schema_extra=HIDDEN,
    ),
]
Logprobs = Annotated[
    bool | None, Field(description="Return log probabilities, in _meta.", json_schema_extra=HIDDEN)
]
TopLogprobs = Annotated[
    int | None,
    Field(
        ge=0,
        le=20,
        description="Likeliest tokens at each place, 0 to 20; needs logprobs.",
        json_schema_extra=HIDDEN,
    ),
]
Truncate = Annotated[
    bool | None,
    Field(
        description="true lets Ollama drop what does not fit; default false: an error tells.",
        json_schema_extra=HIDDEN,
    ),
]
Shift = Annotated[
    bool | None,
    Field(
        description="true drops the start when the window is full; default false: "
        "the answer ends there.",
        json_schema_extra=HIDDEN,
    ),
]
DebugRenderOnly = Annotated[
    bool | None,
    Field(
        description="true returns the rendered prompt, in _meta, instead of asking "
        "the model; Ollama's _debug_render_only.",
        json_schema_extra=HIDDEN,
    ),
]
