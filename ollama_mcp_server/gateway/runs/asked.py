"""What a chat of Ollama's API asks for, where it may have tools; all pure."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...agent.events import Task
from ...daemon.wire import Part
from ...errors import InvalidArgument
from ...faults import place, sentence, words

if TYPE_CHECKING:
    from ..access.caller import Caller

Kind = TypeVar("Kind", bound=BaseModel)

#: What stands in the place of a fault beside fields: which of several types it is not.
_TYPE = re.compile(r"(str|bool|int|float|literal\[.*|dict\[.*)")

#: What no answer has that was made with tools.
ALONE = ("logprobs", "top_logprobs", "_debug_render_only")


class Wanted(BaseModel):
    """What a chat says about tools, beside Ollama's own fields."""

    model_config = ConfigDict(strict=True)

    #: Names of configured servers, or definitions; [] for none.
    mcp_servers: list[str | dict[str, Any]] | None = None
    max_tool_rounds: Annotated[int, Field(ge=1, le=100)] | None = None
    #: Milliseconds that one call of a tool may take.
    tool_timeout: Annotated[int, Field(ge=1, le=3_600_000)] | None = None
    tools_path: str | None = None

    @property
    def explicitly(self) -> bool:
        """Whether tools are asked for."""
        return bool(self.mcp_servers) or (self.mcp_servers is None and bool(self.tools_path))


class Named(BaseModel):
    """A function, as far as it must be right."""

    model_config = ConfigDict(extra="allow")

    name: str = Field(min_length=1)
    description: str | None = None
    parameters: dict[str, Any] | None = None


class Function(BaseModel):
    """A function that the client calls by itself."""

    type: Literal["function"] = "function"
    function: Named


class Message(BaseModel):
    """A message, as far as it must be right; what else it has is the daemon's to judge."""

    model_config = ConfigDict(extra="allow")

    role: str = "user"
    content: str = ""
    images: list[str] | None = None


class Asked(Wanted):
    """A chat that is answered with tools."""

    model: str
    messages: list[Message]
    #: The client's own, which it calls itself.
    tools: list[Function] | None = None
    options: dict[str, Any] | None = None
    think: bool | str | None = None
    keep_alive: str | int | float | None = None
    format: Literal["", "json"] | dict[str, Any] | None = None
    stream: bool | None = None

    def task(self) -> Task:
        """Return it as a task."""
        return Task(
            [message.model_dump(exclude_none=True) for message in self.messages],
            model=self.model,
            servers=self.mcp_servers,
            client_tools=[tool.model_dump(exclude_none=True) for tool in self.tools or ()],
            path=Path(self.tools_path) if self.tools_path else None,
            format=self.format or None,
            options=self.options,
            think=self.think,
            keep_alive=self.keep_alive,
            max_rounds=self.max_tool_rounds or 15,
            tool_timeout=self.tool_timeout,
        )


def wanted(told: Part) -> Wanted:
    """Return what a chat says about tools.

    Raises:
        InvalidArgument: a field is not what it should be.
    """
    return _validated(Wanted, told)


def asked(told: Part) -> Asked:
    """Return a chat that is answered with tools.

    Raises:
        InvalidArgument: a field is not what it should be.
    """
    return _validated(Asked, told)


def _validated(kind: type[Kind], told: Part) -> Kind:
    try:
        return kind.model_validate(told)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False)[0]
        where = tuple(step for step in fault["loc"] if not _TYPE.fullmatch(str(step)))
        raise InvalidArgument(sentence(place(where), words(fault))) from None


def check(told: Part, want: Wanted, caller: Caller) -> None:
    """Let a chat pass that may have the tools it asks for.

    Raises:
        PermissionDenied: the caller may not use tools, or not define servers.
        InvalidArgument: it asks for what goes without tools of servers only.
    """
    caller.check("agent")
    if any(isinstance(server, dict) for server in want.mcp_servers or ()):
        caller.check("admin")
    if field := alone(told):
        raise InvalidArgument(f"{field} cannot be had with mcp_servers", "Leave out one of them")


def alone(told: Part) -> str | None:
    """Return a field of a chat that goes without tools of servers only; None if it has none."""
    return next((name for name in ALONE if told.get(name)), None)
