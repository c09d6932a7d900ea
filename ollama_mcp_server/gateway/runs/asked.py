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
        InvalidArgument: it asks for what cannot be had together.
    """
    caller.check("agent")
    if any(isinstance(server, dict) for server in want.mcp_servers or ()):
        caller.check("admin")
    if told.get("tools"):
        raise InvalidArgument(
            "tools and mcp_servers cannot be had together",
            "Leave out tools, and those of the servers are called here; or leave out mcp_servers "
            "and tools_path, and call your own",
        )
    if not is_plain(told):
        alone = next(name for name in ALONE if told.get(name))
        raise InvalidArgument(f"{alone} cannot be had with mcp_servers", "Leave out one of them")


def is_plain(told: Part) -> bool:
    """Return whether a chat asks for nothing that goes without tools of servers only."""
    return not any(told.get(name) for name in ("tools", *ALONE))
