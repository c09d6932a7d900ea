"""Around all calls: those of clients that ask for tasks are written down, others go on."""

from typing import Any

import mcp_types
from fastmcp import Context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult
from fastmcp.utilities.tasks import TASKS_EXTENSION_ID
from fastmcp_tasks.creation import create_task
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from redis.exceptions import RedisError

from ..errors import OllamaMCPError, RateLimited, ServerDown
from ..middleware import failure
from .calls import Tasked, inside, told

#: Tasks that may wait or run at once.
MOST = 256


class Asked(Middleware):
    """The outermost middleware."""

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Return the task for a call whose client asked for tasks, else what comes of the call."""
        ctx, call = context.fastmcp_context, context.message
        if ctx is not None and not inside.get() and is_asked_for(ctx):
            tool = await ctx.fastmcp.get_tool(call.name)
            if isinstance(tool, Tasked):
                try:
                    # The frame passes what is no result of a tool on as it is.
                    return await begun(tool, call.arguments or {}, ctx)  # type: ignore[no-any-return]
                except OllamaMCPError as error:
                    return failure(error)
        before = inside.set(True)
        try:
            return await call_next(context)
        finally:
            inside.reset(before)


def is_asked_for(ctx: Context) -> bool:
    """Return whether a call's client can do with a task in place of the result."""
    request = ctx.request_context
    is_modern = request is not None and request.protocol_version in MODERN_PROTOCOL_VERSIONS
    return is_modern and ctx.client_extension_settings(TASKS_EXTENSION_ID) is not None


async def begun(tool: Tasked, arguments: dict[str, Any], ctx: Context) -> Any:
    """Write a call down, and return what its client is told of it.

    Raises:
        RateLimited: too many wait already.
        ServerDown: where tasks are kept is out of reach.
    """
    docket = ctx.fastmcp._docket
    assert docket is not None  # noqa: S101 - for the type checker
    try:
        async with docket.redis() as redis:
            if await redis.xlen(docket.stream_key) >= MOST:
                raise RateLimited(f"{MOST} tasks wait already", "Call again later")
        return await create_task(tool, told(arguments, ctx), ctx)
    except (RedisError, OSError) as error:
        raise ServerDown(
            "the store of tasks is out of reach",
            "Start the Valkey or Redis of OLLAMA_MCP_STATE_URL, or call without asking for a task",
        ) from error
