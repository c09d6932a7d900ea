"""What is asked of an agent, what happens while it works, and what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from ..daemon.wire import Part

#: How a model is asked for calls: by its own template, or by answers held to a JSON Schema.
Mode: TypeAlias = Literal["native", "fallback"]
#: Why a run ended.
StopReason: TypeAlias = Literal[
    "answered",
    "tool_calls",
    "max_rounds",
    "max_seconds",
    "max_tokens",
    "repeated_failure",
    "empty",
    "length",
]


@dataclass
class Task:
    """What an agent is to do, and with what."""

    messages: list[Part]
    model: str | None = None
    #: Names of configured servers, or definitions; None for those that their rules enable.
    servers: list[str | dict[str, Any]] | None = None
    #: Patterns of `server:tool` or `tool`; None for every tool.
    tools: list[str] | None = None
    #: Functions of the client's own, as Ollama's `tools`: offered beside the servers' tools, and
    #: never called here; a turn that asks for one ends the run.
    client_tools: list[Part] = field(default_factory=list)
    #: The folder that the work is about; servers that need a path are given it.
    path: Path | None = None
    #: "json" or a JSON Schema for the final answer.
    format: Any = None
    options: dict[str, Any] | None = None
    think: bool | str | None = None
    keep_alive: str | float | None = None
    max_rounds: int = 15
    #: Milliseconds that one tool may take; None for the settings' own.
    tool_timeout: int | None = None
    max_seconds: float | None = None
    #: Tokens, prompts and answers together.
    max_tokens: int | None = None
    #: Run tools that may destroy without asking anybody.
    allow_destructive: bool = False


@dataclass
class Step:
    """One call of a tool: made, or refused before it was made."""

    #: Which of the model's turns asked for it, from 1.
    round: int
    server: str
    tool: str
    arguments: dict[str, Any]
    #: What the tool answered, as the model was told it; None until then, and where it failed.
    result: str | None = None
    error: str | None = None
    ms: int = 0

    @property
    def name(self) -> str:
        """The tool's name as people read it."""
        return f"{self.server}:{self.tool}" if self.server else self.tool


@dataclass(frozen=True)
class Call:
    """A call that a model asks for, as it asked; nothing of it is checked yet."""

    name: str
    arguments: Any
    id: str = ""


@dataclass
class Run:
    """What came of a task."""

    answer: str = ""
    #: The answer as data, where `format` asked for JSON.
    data: Any = None
    thinking: str = ""
    steps: list[Step] = field(default_factory=list)
    #: The calls of the client's own functions that the run ended with.
    calls: list[Call] = field(default_factory=list)
    rounds: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    #: Tokens of the window that the last turn had.
    context: int | None = None
    stop_reason: StopReason = "answered"
    model: str = ""
    mode: Mode = "native"
    warnings: list[str] = field(default_factory=list)
    #: The whole exchange, the task's messages included.
    messages: list[Part] = field(default_factory=list)


@dataclass(frozen=True)
class Asking:
    """The model is asked for its next turn."""

    round: int
    model: str
    mode: Mode


@dataclass(frozen=True)
class Said:
    """A piece of what the model says, as it says it."""

    content: str = ""
    thinking: str = ""


@dataclass(frozen=True)
class Calling:
    """A tool is called."""

    step: Step


@dataclass(frozen=True)
class Called:
    """A tool has answered, failed, or was refused; the step says which."""

    step: Step


@dataclass(frozen=True)
class Ended:
    """The run is over."""

    run: Run


Event: TypeAlias = "Asking | Said | Calling | Called | Ended"
#: Decides whether a call that may destroy something is made.
Consent: TypeAlias = "Callable[[Step], Awaitable[bool]]"
