"""Our own tools, called as any MCP client would, within this process.

So everything around a call holds here too: scopes and models of the caller's key, the line in front
of the daemon, names that peers give arguments, errors, jobs for what takes long, read-only servers.
"""

from __future__ import annotations

import difflib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import mcp_types
from fastmcp import Client
from mcp import MCPError
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from ... import __version__
from ...delegation.inputs.paths import shown
from ...errors import InvalidArgument, NotFound
from ..access.scoped import asks_a_model
from .outcomes import body_of, failure_of

if TYPE_CHECKING:
    from fastmcp import FastMCP

    from ...app import App

#: What they go by beside the configured servers.
NAME = "ollama"
#: The client's name; nobody who calls is told progress, or asked.
CLIENT = mcp_types.Implementation(name="ollama-mcp-server gateway", version=__version__)


class Own:
    """The tools of one server, for whoever makes the running request."""

    def __init__(self, server: FastMCP[Any], app: App) -> None:
        self._server = server
        self._app = app

    async def tools(self) -> list[mcp_types.Tool]:
        """Return the tools that the caller may call."""
        async with self._client() as client:
            return list(await client.list_tools())

    async def asks_a_model(self, tool: str) -> bool:
        """Return whether a tool waits in the line in front of the daemon, and is counted there."""
        found = await self._server.get_tool(tool)
        return found is not None and asks_a_model(found)

    async def call(self, tool: str, arguments: dict[str, Any]) -> Any:
        """Call a tool and return what it answered.

        Raises:
            NotFound: there is no such tool.
            OllamaMCPError: whatever the tool, or what is around it, refuses.
        """
        if await self._server.get_tool(tool) is None:
            raise await self._missing(tool)
        params = mcp_types.CallToolRequestParams(name=tool, arguments=arguments)
        request = mcp_types.CallToolRequest(method="tools/call", params=params)
        async with self._client() as client:
            # call_tool would first list all tools, to check what ours answers by their schemas
            try:
                result = await client.session.send_request(request, mcp_types.CallToolResult)
            except MCPError as error:  # what is no result, such as parameters of another form
                raise InvalidArgument(error.message) from None
        if result.is_error:
            raise failure_of(result, tool)
        return body_of(result)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client[Any]]:
        """Connect to the server, which takes a millisecond; its tasks know who calls."""
        mode = MODERN_PROTOCOL_VERSIONS[-1]
        async with Client(self._server, mode=mode, client_info=CLIENT) as client:
            yield client

    async def _missing(self, tool: str) -> NotFound:
        told = f"there is no tool {shown(tool)}"
        if tool in self._app.hidden:
            return NotFound(told, self._app.hidden[tool])
        names = [one.name for one in await self._server.list_tools(run_middleware=False)]
        return missing(told, tool, names)


def missing(told: str, name: str, known: list[str]) -> NotFound:
    """Return the error for what is not there, with the nearest of what is."""
    lower = {one.lower(): one for one in reversed(known)}
    close = difflib.get_close_matches(name[:100].lower(), lower, 3, 0.5)
    if near := [lower[one] for one in close]:
        return NotFound(told, f"Did you mean {' or '.join(near)}?", nearest=near)
    few = f"There are {', '.join(known[:12])}" if known else "It has none"
    return NotFound(told, few)
