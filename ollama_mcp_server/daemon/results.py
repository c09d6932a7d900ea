"""The shapes that tools return: lean, the answer first, under Ollama's own names.

A field that has nothing to say is left out. What programs want and models need not read
(timings, log probabilities, the daemon's raw final part) goes to `_meta`, see `meta`.
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

#: The keys of `_meta` all begin so.
PREFIX = "ollama/"
_NANOSECONDS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")
#: What the daemon's final part holds that is too bulky, or that the result has already.
_ELSEWHERE = {
    "message",
    "response",
    "thinking",
    "context",
    "embeddings",
    "embedding",
    "logprobs",
    "tool_calls",
}


class Result(BaseModel):
    """Base of the results: what the daemon adds tomorrow is kept, not dropped."""

    model_config = ConfigDict(extra="allow", defer_build=True)

    def lean(self) -> dict[str, Any]:
        """Return the object for `structuredContent`: no nulls, fields in their order."""
        return self.model_dump(mode="json", exclude_none=True)


#: A value of any kind that JSON has.
Json = Annotated[
    Any,
    WithJsonSchema(
        {"anyOf": [{"type": kind} for kind in ("object", "array", "string", "number", "boolean")]}
    ),
]


class Usage(Result):
    """Tokens that the call cost."""

    prompt_tokens: int = Field(description="Tokens of the prompt.")
    completion_tokens: int = Field(description="Tokens of the answer, thinking included.")
    context: int | None = Field(None, description="The context window, in tokens.")


class FunctionCall(Result):
    """What a model wants called."""

    name: str
    arguments: dict[str, Any]
    index: int | None = None


class ToolCall(Result):
    """A call that the model asks for; answer it with a `tool` message of the same id."""

    id: str | None = None
    function: FunctionCall


class ChatAnswer(Result):
    """A model's answer."""

    content: str | None = Field(None, description="The answer; none beside data.")
    data: Json = Field(None, description="The answer, where format asked for JSON.")
    thinking: str | None = Field(None, description="What the model thought first.")
    tool_calls: list[ToolCall] | None = None
    model: str
    done_reason: str = Field(description="stop, length (cut at a limit), load or unload.")
    usage: Usage
    warnings: list[str] | None = None
    conversation: str | None = Field(None, description="Handle, to go on with.")


class Embedding(Result):
    """Vectors, one for each input, in its order."""

    embeddings: list[list[float]] | None = Field(None, description="One L2-normalised vector each.")
    count: int
    dimensions: int
    model: str
    usage: Usage
    warnings: list[str] | None = None


class Details(Result):
    """What a model is made of."""

    parent_model: str | None = None
    format: str | None = None
    family: str | None = None
    families: list[str] | None = None
    parameter_size: str | None = None
    quantization_level: str | None = None
    context_length: int | None = None
    embedding_length: int | None = None


class InstalledModel(Result):
    """A row of `/api/tags`."""

    name: str
    capabilities: list[str] | None = None
    size: int = Field(description="Bytes on disk.")
    modified_at: str
    digest: str
    details: Details | None = None
    remote_model: str | None = None
    remote_host: str | None = Field(None, description="Set: it runs there, not on this machine.")


class ModelList(Result):
    """Installed models, newest first."""

    models: list[InstalledModel]
    total: int = Field(description="How many match, on all pages.")
    next_offset: int | None = Field(None, description="offset of the next page, if there is one.")


class RunningModel(Result):
    """A row of `/api/ps`."""

    name: str
    size: int = Field(description="Bytes in memory.")
    size_vram: int = Field(description="Bytes of it that the daemon counts as GPU memory.")
    context_length: int
    expires_at: str
    digest: str
    details: Details | None = None


class Running(Result):
    """What the daemon has loaded, and the daemon itself."""

    models: list[RunningModel]
    version: str = Field(description="The daemon's version.")
    host: str
    jobs: list[dict[str, Any]] | None = Field(None, description="Work that goes on: ollama_job.")
    cloud: dict[str, Any] | None = Field(None, description="Whether cloud models are disabled.")


class ModelInfo(Result):
    """What `/api/show` tells; texts, tensors and vocabularies only with verbose."""

    model: str
    capabilities: list[str] | None = None
    details: Details | None = None
    parameters: str | None = None
    system: str | None = None
    thinking: dict[str, Any] | None = Field(None, description="values: levels for think.")
    model_info: dict[str, Any] | None = Field(
        None, description="<architecture>.context_length is the longest window."
    )
    warnings: list[str] | None = None


class Loaded(Result):
    """What became of the model in memory."""

    model: str
    done_reason: str = Field(description="load or unload.")
    load_seconds: float | None = None
    warnings: list[str] | None = None


class Done(Result):
    """What a change of the library came to."""

    model: str
    status: str = Field(description="success, or declined if a person said no.")
    bytes: int | None = Field(None, description="Bytes of the layers that moved.")
    layers: list[str] | None = Field(None, description="Digests of the layers.")
    source: str | None = None
    warnings: list[str] | None = None


class WebResult(Result):
    """One page that was found."""

    title: str
    url: str
    content: str


class WebResults(Result):
    """What a web search found."""

    results: list[WebResult]


class WebPage(Result):
    """A page's readable text."""

    title: str
    content: str
    links: list[str] | None = None
    warnings: list[str] | None = None


def timings(final: dict[str, Any]) -> dict[str, float]:
    """Return the daemon's durations in seconds, and tokens a second, from its final part."""
    seconds = {
        name.removesuffix("_duration"): round(final[name] / 1e9, 6)
        for name in _NANOSECONDS
        if final.get(name)
    }
    if final.get("eval_count") and final.get("eval_duration"):
        rate = final["eval_count"] / (final["eval_duration"] / 1e9)
        seconds["tokens_per_second"] = round(rate, 2)
    return seconds


def meta(final: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return `_meta` for a result: timings, the final part without bulk, and what else is given."""
    values = {
        "timings": timings(final),
        "final": {k: v for k, v in final.items() if k not in _ELSEWHERE},
        **more,
    }
    return {PREFIX + name: value for name, value in values.items() if value not in (None, {}, [])}
