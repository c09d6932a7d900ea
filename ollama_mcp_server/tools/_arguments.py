"""Argument types that several tools share: what each accepts, and how it is told."""

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
from ._reading import (
    from_json,
    to_format,
    to_image,
    to_keep_alive,
    to_texts,
    to_think,
    to_tool,
)

#: Schemas that several arguments have.
OPEN_OBJECT = {"type": "object", "additionalProperties": True}
OBJECTS = {"type": "array", "items": {"type": "object"}}
STRINGS = {"type": "array", "items": {"type": "string"}}
TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


def shown(schema: dict[str, Any], description: str) -> WithJsonSchema:
    """Publish an argument with this schema, whatever type it is checked against."""
    return WithJsonSchema({**schema, "description": description})


Image = Annotated[str, BeforeValidator(to_image)]


class Given(BaseModel):
    """Base of the objects that callers give: strict, and published without its docstring."""

    model_config = ConfigDict(
        extra="forbid",
        defer_build=True,
        json_schema_extra=lambda schema: schema.pop("description", None),
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
    content: Annotated[str, BeforeValidator(lambda value: "" if value is None else value)] = ""
    images: list[Image] | None = Field(None, description="Paths, base64 or data: URIs.")
    thinking: str | None = Field(None, json_schema_extra={"hidden": True})
    tool_calls: Annotated[
        list[Call] | None,
        BeforeValidator(from_json),
        shown(OBJECTS, "The assistant's calls."),
    ] = None
    tool_name: str | None = Field(None, description="role tool: which tool answers.")
    tool_call_id: str | None = Field(None, json_schema_extra={"hidden": True})

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
    shown(
        {"type": "string"}, "Name in ollama_list; default: the configured, a loaded, the largest."
    ),
]
Insecure = Annotated[
    bool | None,
    Field(
        description="true allows a registry over plain http, or "
        "with a certificate that does not verify."
    ),
]
Messages = Annotated[
    list[Message],
    BeforeValidator(from_json),
    shown(
        OBJECTS,
        '[{"role": "user", "content": "Hi"}], oldest first; roles system, user, assistant (with '
        "its tool_calls), tool (with tool_name); images: paths, base64 or data: URIs.",
    ),
]
Images = Annotated[
    list[Image] | None,
    BeforeValidator(from_json),
    Field(description="Pictures for a vision model: paths, base64 or data: URIs."),
]
Files = Annotated[
    list[str] | None,
    BeforeValidator(to_texts),
    shown(
        STRINGS,
        "Text, PDF or DOCX files for the model to read, so you need not: paths or globs.",
    ),
]
ChatTools = Annotated[
    list[Annotated[dict[str, Any], BeforeValidator(to_tool)]] | None,
    BeforeValidator(from_json),
    Field(
        description='Functions that it may call: {"type": "function", "function": {"name", '
        '"description", "parameters"}}. Nothing is run: calls come back in '
        "tool_calls."
    ),
]
Format = Annotated[
    Any,
    BeforeValidator(to_format),
    shown(
        {"anyOf": [{"type": "object"}, {"type": "string"}]},
        "JSON Schema of the answer, checked, in data; or json (any). Default: free text.",
    ),
]
ModelOptions = Annotated[
    Options | None,
    BeforeValidator(from_json),
    shown(
        OPEN_OBJECT,
        '{"temperature": 0.2, "num_predict": 500 (longest answer in tokens)}; num_ctx grows as '
        "needed.",
    ),
]
LoadOptions = Annotated[
    Options | None,
    BeforeValidator(from_json),
    shown(OPEN_OBJECT, 'Options of the load: {"num_ctx": 8192}, the window in tokens.'),
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
#: The same, not listed: ollama_load is the tool for it.
QuietKeepAlive = Annotated[
    KeepAlive, shown({"hidden": True}, "How long the model stays loaded afterwards: 10m, 0, -1.")
]
Think = Annotated[
    Any,
    BeforeValidator(to_think),
    shown(
        {"anyOf": [{"type": "boolean"}, {"type": "string"}]},
        "Thinking models: true, false, low, medium, high; default the model's own.",
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
Retries = Annotated[
    int,
    Field(
        ge=0,
        le=10,
        description="How often an answer that does not fit the schema is asked for again; "
        "default 2.",
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
