"""Servers of the tests: their tools answer by a script, without processes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import mcp_types

from ollama_mcp_server.agent.definitions.documents import Definition

#: What a tool answers: text, an error to raise, or a whole result.
Answer = Any


def tool(
    name: str, /, reads: bool | None = None, destroys: bool | None = None, **properties: Any
) -> mcp_types.Tool:
    """Return a tool whose arguments are all required."""
    hints = mcp_types.ToolAnnotations(read_only_hint=reads, destructive_hint=destroys)
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return mcp_types.Tool(
        name=name, description=f"Does {name}.", input_schema=schema, annotations=hints
    )


def text(said: str, *, failed: bool = False) -> mcp_types.CallToolResult:
    """Return a result of text."""
    return mcp_types.CallToolResult(
        content=[mcp_types.TextContent(type="text", text=said)], is_error=failed
    )


@dataclass
class Status:
    """A server that could not be used."""

    name: str
    error: str
    since: float = 0.0


@dataclass
class ScriptedLease:
    """Stands for the servers of a run; `answers` are by `server:tool`."""

    tools: dict[str, list[mcp_types.Tool]]
    answers: dict[str, Callable[[dict[str, Any]], Answer]]
    trusted: bool = True
    version: int = 1
    down: list[Status] = field(default_factory=list)
    called: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    #: How many calls ran at once, at most.
    most: int = 0
    _running: int = 0

    def definition(self, server: str) -> Definition:
        return Definition(name=server, command="server", trusted=self.trusted)

    async def call(
        self,
        server: str,
        tool: str,
        arguments: dict[str, Any],
        timeout: float,
        progress: Callable[[str], None] | None = None,
    ) -> mcp_types.CallToolResult:
        name = f"{server}:{tool}"
        self.called.append((name, arguments))
        self._running += 1
        self.most = max(self.most, self._running)
        try:
            await asyncio.sleep(0.01)
            answer = self.answers[name](arguments)
            if isinstance(answer, BaseException):
                raise answer
            return answer if isinstance(answer, mcp_types.CallToolResult) else text(str(answer))
        finally:
            self._running -= 1


def servers(*tools: mcp_types.Tool, **answers: Answer) -> ScriptedLease:
    """Return one server, `fs`, whose tools answer what is given, or their own names."""
    return ScriptedLease(
        {"fs": list(tools)},
        {f"fs:{one.name}": _answering(answers.get(one.name, one.name)) for one in tools},
    )


def _answering(answer: Answer) -> Callable[[dict[str, Any]], Answer]:
    return answer if callable(answer) else lambda _: answer


def named(calls: Sequence[tuple[str, dict[str, Any]]]) -> list[str]:
    """Return the names of what was called."""
    return [name for name, _ in calls]
