"""Calls of tools by name, whoever has the tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .foreign import Foreign
from .own import NAME, Own

if TYPE_CHECKING:
    from ..access.caller import Caller
    from ..gate import Gate


class Calls:
    """Every tool that the gateway serves: this server's own, and those of the configured ones."""

    def __init__(self, gate: Gate) -> None:
        self._limits = gate.limits
        self.own = Own(gate.server, gate.app)
        self.foreign = Foreign(gate.app)

    async def make(
        self,
        caller: Caller,
        server: str,
        tool: str,
        arguments: dict[str, Any],
        *,
        path: str | None = None,
        allow_destructive: bool = False,
    ) -> Any:
        """Call a tool for a caller and return what it answered, as JSON.

        Each of our own tools needs a scope of its own; other servers' need the scope agent.

        Raises:
            OllamaMCPError: there is no such tool, the caller may not call it, or it failed.
        """
        if server != NAME:
            caller.check("agent")
        elif await self.own.asks_a_model(tool):
            return await self.own.call(tool, arguments)  # it is counted with its place in the line
        async with self._limits.visit(caller):
            if server == NAME:
                return await self.own.call(tool, arguments)
            return await self.foreign.call(
                server, tool, arguments, path=path, allow_destructive=allow_destructive
            )


def split(name: str) -> tuple[str, str]:
    """Return server and tool of `server:tool`; a name alone is of our own tools."""
    server, colon, tool = name.partition(":")
    return (server, tool) if colon else (NAME, name)
