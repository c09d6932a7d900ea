"""What a key may do over MCP: its scopes and models hold for tools, resources and prompts too."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

import mcp_types
from fastmcp.exceptions import NotFoundError
from fastmcp.prompts import Prompt, PromptResult
from fastmcp.resources import Resource, ResourceResult, ResourceTemplate
from fastmcp.server.dependencies import get_http_request
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import Tool, ToolResult

from ...delegation.choice import resolve
from ...errors import PermissionDenied
from ...settings import Settings
from ...tools._reading import from_json
from ..traffic.limits import Limits
from .caller import Caller
from .guard import CALLER
from .scopes import PROMPTS, scope_of_resource, scope_of_tool

#: Arguments that name models.
MODELS = ("model", "from", "source", "destination")

Call = MiddlewareContext[mcp_types.CallToolRequestParams]
Read = MiddlewareContext[mcp_types.ReadResourceRequestParams]
Get = MiddlewareContext[mcp_types.GetPromptRequestParams]


class Scoped(Middleware):
    """The innermost middleware of a server that is reached over HTTP."""

    def __init__(self, settings: Settings, limits: Limits | None = None) -> None:
        """Hold callers to what they may; with `limits`, their calls wait in the same line."""
        self._settings = settings
        self.limits = limits

    async def on_call_tool(
        self, context: Call, call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult]
    ) -> ToolResult:
        """Run a call that the caller may make, in its place in the line if it asks a model."""
        assert context.fastmcp_context is not None  # noqa: S101 - for the type checker
        tool = await context.fastmcp_context.fastmcp.get_tool(context.message.name)
        if tool is None:
            raise NotFoundError(context.message.name)
        caller, arguments = who(), context.message.arguments or {}
        model = permitted(caller, tool, arguments, self._settings)
        async with AsyncExitStack() as stack:
            place = None
            if self.limits is not None and asks_a_model(tool):
                place = await stack.enter_async_context(self.limits.place(caller, model))
            result = await call_next(context)
            if place is not None:
                place.count(tokens_in(result))
            return result

    async def on_read_resource(
        self,
        context: Read,
        call_next: CallNext[mcp_types.ReadResourceRequestParams, ResourceResult],
    ) -> ResourceResult:
        """Read a resource that the caller may read."""
        who().check(scope_of_resource(str(context.message.uri)))
        return await call_next(context)

    async def on_get_prompt(
        self, context: Get, call_next: CallNext[mcp_types.GetPromptRequestParams, PromptResult]
    ) -> PromptResult:
        """Make a prompt for a caller who may have one."""
        who().check(PROMPTS)
        return await call_next(context)

    async def on_list_tools(
        self,
        context: MiddlewareContext[mcp_types.ListToolsRequest],
        call_next: CallNext[mcp_types.ListToolsRequest, Sequence[Tool]],
    ) -> Sequence[Tool]:
        """List the tools that the caller may call."""
        caller = who()
        return [tool for tool in await call_next(context) if caller.may(scope_of_tool(tool))]

    async def on_list_resources(
        self,
        context: MiddlewareContext[mcp_types.ListResourcesRequest],
        call_next: CallNext[mcp_types.ListResourcesRequest, Sequence[Resource]],
    ) -> Sequence[Resource]:
        """List the resources that the caller may read."""
        caller = who()
        listed = await call_next(context)
        return [one for one in listed if caller.may(scope_of_resource(str(one.uri)))]

    async def on_list_resource_templates(
        self,
        context: MiddlewareContext[mcp_types.ListResourceTemplatesRequest],
        call_next: CallNext[mcp_types.ListResourceTemplatesRequest, Sequence[ResourceTemplate]],
    ) -> Sequence[ResourceTemplate]:
        """List the templates of resources that the caller may read."""
        caller = who()
        listed = await call_next(context)
        return [one for one in listed if caller.may(scope_of_resource(one.uri_template))]

    async def on_list_prompts(
        self,
        context: MiddlewareContext[mcp_types.ListPromptsRequest],
        call_next: CallNext[mcp_types.ListPromptsRequest, Sequence[Prompt]],
    ) -> Sequence[Prompt]:
        """List the prompts, if the caller may have them."""
        return await call_next(context) if who().may(PROMPTS) else []


def permitted(
    caller: Caller, tool: Tool, arguments: dict[str, Any], settings: Settings
) -> str | None:
    """Return the model that a call names, if the caller may make the call.

    Raises:
        PermissionDenied: the tool, the model, or a server defined in the call is not for it.
    """
    caller.check(scope_of_tool(tool))
    known = tool.parameters.get("properties", {})
    if "agent" in tool.tags and not caller.may("admin") and defines_servers(arguments):
        raise PermissionDenied(
            f"the key {caller.name} may not define servers, which needs the scope admin",
            "Name servers that are configured",
        )
    named = [
        resolve(value, settings).model
        for field in MODELS
        if field in known and isinstance(value := arguments.get(field), str)
    ]
    for model in named:
        caller.check_model(model)
    if caller.models is not None and not named and "model" in known:
        raise PermissionDenied(
            f"the key {caller.name} may use some models only, and the call names none",
            f"Name one: {', '.join(caller.models) or 'there is none'}",
        )
    return named[0] if named else None


def asks_a_model(tool: Tool) -> bool:
    """Return whether a tool keeps the daemon busy for as long as it runs."""
    return bool(tool.tags & {"chat", "agent"}) and "models" not in tool.tags


def defines_servers(arguments: dict[str, Any]) -> bool:
    """Return whether a call brings servers of its own."""
    given = from_json(arguments.get("servers"))
    listed = given if isinstance(given, list) else [given]
    return any(isinstance(from_json(one), dict) for one in listed)


def who() -> Caller:
    """Return who makes the running request.

    Raises:
        PermissionDenied: nobody knows, which no guarded route lets happen.
    """
    try:
        caller = get_http_request().scope.get("state", {}).get("caller")
    except RuntimeError:  # not from FastMCP's own routes
        caller = CALLER.get()
    if isinstance(caller, Caller):
        return caller
    raise PermissionDenied("nobody knows who calls", "Send a key")


def tokens_in(result: ToolResult) -> int:
    """Return how many tokens a call took, as its result tells."""
    told = result.structured_content or {}
    usage = told.get("usage") if isinstance(told, dict) else None
    if not isinstance(usage, dict):
        return 0
    return int(usage.get("prompt_tokens") or 0) + int(usage.get("completion_tokens") or 0)
