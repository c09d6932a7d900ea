"""A chat in OpenAI's form, as far as it is answered here and not by the daemon's own `/v1`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...agent.events import Task
from ...daemon.options import Options
from ...daemon.wire import Part
from ...delegation import openai
from ...errors import InvalidArgument
from ...faults import place, sentence, words
from .asked import Function, Named, Wanted

#: Rounds of the model at most, where the request does not say.
ROUNDS = 15


class Called(BaseModel):
    """A call in the history."""

    model_config = ConfigDict(extra="allow")

    id: str | None = None
    function: Named


class Message(BaseModel):
    """A message; its content is a text, or a list of parts."""

    role: str
    content: str | list[dict[str, Any]] | None = None
    name: str | None = None
    reasoning: str | None = None
    tool_calls: list[Called] | None = None
    tool_call_id: str | None = None


class Chat(Wanted):
    """A request of chat.completions; other APIs' requests become one first."""

    model: str = Field(min_length=1)
    messages: list[Message] = Field(min_length=1)
    stream: bool | None = None
    stream_options: dict[str, Any] | None = None
    tools: list[Function] | None = None
    tool_choice: str | dict[str, Any] | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    #: Ollama's own, into which Anthropic's `thinking` is made.
    think: bool | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    logit_bias: dict[str, Any] | None = None
    n: int | None = None
    #: Ollama's options, out of the fields that are one.
    options: dict[str, Any] = Field(default_factory=dict)

    @property
    def lacks(self) -> str | None:
        """A field that asks for what only the daemon's own answers have; None if there is none."""
        asked = {
            "logprobs": self.logprobs,
            "top_logprobs": self.top_logprobs,
            "logit_bias": self.logit_bias,
            "n above 1": (self.n or 1) > 1,
        }
        return next((name for name, is_asked in asked.items() if is_asked), None)

    @property
    def include_usage(self) -> bool:
        """Whether a stream ends with its usage."""
        return bool((self.stream_options or {}).get("include_usage"))

    def functions(self) -> list[Part]:
        """Return the client's own functions, which the model may call."""
        if self.tool_choice == "none":
            return []
        return [tool.model_dump(exclude_none=True) for tool in self.tools or ()]

    def body(self) -> Part:
        """Return Ollama's chat for it, without tools of servers.

        Raises:
            InvalidArgument: something in it cannot be had from Ollama.
        """
        said = [message.model_dump(exclude_none=True) for message in self.messages]
        effort = openai.to_think(self.reasoning_effort)
        return {
            "model": self.model,
            "messages": openai.to_messages(said),
            "options": self.options or None,
            "think": self.think if effort is None else effort,
            "format": openai.to_format(self.response_format),
            "tools": self.functions() or None,
        }

    def task(self) -> Task:
        """Return it as a task for an agent.

        Raises:
            InvalidArgument: something in it cannot be had from Ollama.
        """
        body = self.body()
        return Task(
            body["messages"],
            model=self.model,
            servers=self.mcp_servers,
            client_tools=body["tools"] or [],
            path=Path(self.tools_path) if self.tools_path else None,
            format=body["format"],
            options=body["options"],
            think=body["think"],
            max_rounds=self.max_tool_rounds or ROUNDS,
            tool_timeout=self.tool_timeout,
        )


def read_chat(told: Part) -> Chat:
    """Return a chat that is answered here; unknown fields are passed over.

    Raises:
        InvalidArgument: a field is not what it should be.
    """
    try:
        options = Options.model_validate(openai.to_options(told)).sent()
        return Chat.model_validate({**told, "options": options})
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        # the arms of a union are no place in a request
        where = tuple(step for step in fault["loc"] if isinstance(step, int) or step in _FIELDS)
        raise InvalidArgument(sentence(place(where), words(fault))) from None


_FIELDS = {
    *openai.OPTIONS.values(),
    *(name for kind in (Chat, Message, Called, Function, Named) for name in kind.model_fields),
}
