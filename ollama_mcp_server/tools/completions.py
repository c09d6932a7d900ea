"""OpenAI's chat.completions, answered by a local model."""

import json
from typing import Annotated, Any, Literal

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema

from ..daemon.options import Options
from ..daemon.results import Result, meta
from ..delegation import openai
from ..delegation.forced_calls import forced_call, take_forced_call
from ..errors import InvalidArgument
from ..faults import place, sentence, words
from ..tool import tool
from ._answers import ask_model, remarks
from ._arguments import (
    HIDDEN,
    OBJECTS,
    TEXTS,
    Call,
    ChatTools,
    Files,
    Given,
    OptionalModel,
    Retries,
    TopLogprobs,
    shown,
)
from ._hints import ASKS, LONG
from ._reading import from_json, to_texts, to_think


def to_content(value: Any) -> Any:
    """Return a message's content: a text, or OpenAI's list of parts."""
    parts = isinstance(value, list) and all(isinstance(part, dict) for part in value)
    if parts or value is None or isinstance(value, str):
        return value
    raise ValueError("must be text, or a list of parts")


class OpenAIMessage(Given):
    """A message of OpenAI's chat; its content is a text, or a list of parts."""

    model_config = ConfigDict(extra="ignore")  # OpenAI's clients send more than is of use

    role: Literal["system", "developer", "user", "assistant", "tool"] = "user"
    content: Annotated[
        Any,
        BeforeValidator(to_content),
        WithJsonSchema({"anyOf": [{"type": "string"}, OBJECTS]}),
    ] = None
    name: str | None = Field(None, json_schema_extra=HIDDEN)
    tool_calls: list[Call] | None = Field(None, json_schema_extra=HIDDEN)
    tool_call_id: str | None = Field(None, json_schema_extra=HIDDEN)


class Choice(Result):
    """One answer; there is always exactly one."""

    index: int
    message: dict[str, Any] = Field(description="role, content, and tool_calls if any.")
    finish_reason: str = Field(description="stop, length or tool_calls.")
    logprobs: dict[str, Any] | None = None


class Completion(Result):
    """OpenAI's chat.completion object."""

    id: str
    object: str
    created: int
    model: str
    choices: list[Choice]
    usage: dict[str, Any] = Field(description="prompt_tokens, completion_tokens, total_tokens.")
    warnings: list[str] | None = None


@tool(
    title="OpenAI-style chat completion",
    annotations=ASKS,
    tags={"chat", LONG},
    returns=Completion,
)
async def chat_completion(
    ctx: Context,
    messages: Annotated[
        list[OpenAIMessage],
        BeforeValidator(from_json),
        Field(min_length=1),
        shown(
            OBJECTS,
            'OpenAI messages, oldest first: [{"role": "user", "content": "Hi"}]; pictures as '
            "image_url parts with data: URIs.",
        ),
    ],
    model: OptionalModel = None,
    temperature: Annotated[
        float | None, Field(ge=0, le=2, description="0 to 2; default the model's.")
    ] = None,
    top_p: Annotated[
        float | None, Field(ge=0, le=1, description="0 to 1.", json_schema_extra=HIDDEN)
    ] = None,
    max_tokens: Annotated[
        int | None,
        Field(ge=1, description="Longest answer in tokens; default until the window is full."),
    ] = None,
    stop: Annotated[
        Any,
        BeforeValidator(to_texts),
        shown({**TEXTS, "hidden": True}, "Text or texts that end the answer."),
    ] = None,
    seed: Annotated[int | None, Field(description="Same seed, nearly the same answer.")] = None,
    response_format: Annotated[
        dict[str, Any] | None,
        BeforeValidator(from_json),
        Field(
            description='{"type": "json_object"}, or {"type": "json_schema", "json_schema": '
            '{"schema": {…}}}.'
        ),
    ] = None,
    tools: Annotated[
        ChatTools,
        shown(OBJECTS, "OpenAI function tools. Nothing is run: calls come back in tool_calls."),
    ] = None,
    tool_choice: Annotated[
        Any,
        BeforeValidator(from_json),
        shown(
            {"anyOf": [{"type": "string"}, {"type": "object"}]},
            'auto (default), none, required, or {"type": "function", "function": {"name": '
            '"get_weather"}}.',
        ),
    ] = None,
    reasoning_effort: Annotated[
        str | None,
        Field(
            description="Thinking models: none, low, medium, high; the thought comes in "
            "message.reasoning."
        ),
    ] = None,
    timeout: Annotated[
        int | None,
        Field(
            ge=1000,
            description="Milliseconds, 1000 or more; the work is stopped then. Default none.",
            json_schema_extra=HIDDEN,
        ),
    ] = None,
    files: Annotated[Files, shown({"hidden": True}, "Files that the model reads.")] = None,
    retries: Retries = 2,
    max_completion_tokens: Annotated[
        int | None,
        Field(ge=1, description="OpenAI's newer name of max_tokens.", json_schema_extra=HIDDEN),
    ] = None,
    presence_penalty: Annotated[
        float | None, Field(ge=-2, le=2, description="-2 to 2.", json_schema_extra=HIDDEN)
    ] = None,
    frequency_penalty: Annotated[
        float | None, Field(ge=-2, le=2, description="-2 to 2.", json_schema_extra=HIDDEN)
    ] = None,
    logprobs: Annotated[
        bool | None, Field(description="Log probabilities in the choice.", json_schema_extra=HIDDEN)
    ] = None,
    top_logprobs: TopLogprobs = None,
    n: Annotated[int | None, Field(description="Only 1.", json_schema_extra=HIDDEN)] = None,
    logit_bias: Annotated[
        Any, Field(description="Refused: Ollama has none.", json_schema_extra=HIDDEN)
    ] = None,
    user: Annotated[Any, Field(description="No effect.", json_schema_extra=HIDDEN)] = None,
    parallel_tool_calls: Annotated[
        Any, Field(description="No effect.", json_schema_extra=HIDDEN)
    ] = None,
) -> ToolResult:
    """Answer an OpenAI chat.completions request with a local model.

    Use for requests and code written for OpenAI's API; for Ollama's own fields (think,
    keep_alive, num_ctx, a plain schema) use ollama_chat. Private and free: prompts stay
    at the daemon, but for remote models. The first call loads the model (seconds);
    progress is shown, cancelling stops the model. Returns a chat.completion object:
    choices[0].message, finish_reason (length means cut), usage.
    """
    if (n or 1) > 1 or logit_bias:
        raise InvalidArgument(
            "n above 1 and logit_bias are not supported by Ollama",
            "Leave them out; for several answers call again",
        )
    options, think = _options(locals()), _think(reasoning_effort)
    warnings = [
        f"{name} has no effect with Ollama"
        for name, value in (("user", user), ("parallel_tool_calls", parallel_tool_calls))
        if value is not None
    ]
    body: dict[str, Any] = {
        "model": model,
        "messages": openai.to_messages([m.model_dump(exclude_none=True) for m in messages]),
        "format": openai.to_format(response_format),
        "tools": None if tool_choice == "none" else tools,
        "think": think,
        "logprobs": logprobs,
        "top_logprobs": top_logprobs,
    }
    forced = forced_call(tools or [], tool_choice)
    if forced:
        body["format"], instruction = forced
        body["tools"] = None
        body["messages"].insert(0, {"role": "system", "content": instruction})
        warnings.append("tool_choice is done by constrained output: Ollama has none of its own")
    answer = await ask_model(ctx, "/api/chat", body, options, timeout, files=files, retries=retries)
    if forced and not take_forced_call(answer):
        warnings.append("the call was cut before its end; raise max_tokens")
    completion = openai.to_completion(
        answer, [*warnings, *answer.warnings, *remarks(answer, "max_tokens")]
    )
    return ToolResult(
        content=json.dumps(completion, ensure_ascii=False),
        structured_content=completion,
        meta=meta(answer.final, notes=answer.notes),
    )


def _options(arguments: dict[str, Any]) -> Options | None:
    given = openai.to_options(arguments)
    try:
        return Options.model_validate(given) if given else None
    except ValidationError as error:  # OpenAI's integers have 64 bits, Ollama's 32
        fault = error.errors()[0]
        raise InvalidArgument(sentence(place(fault["loc"]), words(fault))) from None


def _think(effort: str | None) -> Any:
    return False if effort == "none" else to_think(effort or None)
