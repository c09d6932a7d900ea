"""Around the calls of tools where there are several Ollama hosts: which one is meant, which it was.

Where there is one, nothing of this is on the way, and the tools have no argument `host`.
"""

from collections.abc import Collection, Sequence
from typing import Any

import mcp_types
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult

from .daemon.hosts.errand import errand
from .daemon.results import PREFIX
from .errors import InvalidArgument

#: Toolsets whose tools use a model or the library, but for the tool that only looks at our jobs.
TOOLSETS = frozenset(("chat", "models", "agent", "publish"))
NOT = "ollama_job"
ARGUMENT = "host"
#: What the argument means.
_ASKED = "Ollama host. Default: one that has the model loaded, else the least busy that has it."
_FIRST = "Ollama host. Default: the first that is up."
_ONE = "Ollama host; needed where several have the model."
_SHOWN = "Only this Ollama host. Default: all."
_MEANINGS = {
    "ollama_copy": _ONE,
    "ollama_create": _FIRST,
    "ollama_delete": _ONE,
    "ollama_list": _SHOWN,
    "ollama_ps": _SHOWN,
    "ollama_pull": _FIRST,
    "ollama_push": _ONE,
}


def takes_host(tool: Tool) -> bool:
    """Return whether a tool is about what one of several hosts does."""
    has_one = ARGUMENT in tool.parameters.get("properties", {})
    return bool(tool.tags & TOOLSETS) and tool.name != NOT and not has_one


def with_host(tool: Tool, hosts: Sequence[str]) -> dict[str, Any]:
    """Return a tool's parameters with the argument that names a host."""
    meaning = _MEANINGS.get(tool.name, _ASKED)
    told = {"type": "string", "enum": list(hosts), "description": meaning}
    properties = tool.parameters.get("properties", {})
    return {**tool.parameters, "properties": {**properties, ARGUMENT: told}}


class Placement(Middleware):
    """Takes the argument `host` from a call, and tells in its result who answered."""

    def __init__(self, hosts: Collection[str], tools: Collection[str]) -> None:
        """Surround the calls of `tools`; both are given by name."""
        self.hosts = hosts
        self.tools = tools

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the call on the errand to its host.

        Raises:
            InvalidArgument: there is no such host.
        """
        if context.message.name not in self.tools:
            return await call_next(context)
        given = dict(context.message.arguments or {})
        host = given.pop(ARGUMENT, None)
        if host is not None and not isinstance(host, str):
            raise InvalidArgument(f"{ARGUMENT} must be text", f"Hosts are {', '.join(self.hosts)}")
        message = context.message.model_copy(update={"arguments": given})
        with errand(host or None, self.hosts) as gone:
            result = await call_next(context.copy(message=message))
        if gone.answered:
            result.meta = {**(result.meta or {}), f"{PREFIX}host": gone.answered}
        return result
