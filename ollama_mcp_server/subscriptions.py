"""Changes told to clients of 2026-07-28 that listen, and what a server may say of that."""

import logging
from typing import Any

import mcp_types
from fastmcp import FastMCP
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from mcp.server.subscriptions import InMemorySubscriptionBus, ListenHandler

logger = logging.getLogger(__name__)

Initialize = MiddlewareContext[mcp_types.InitializeRequest]
Discover = MiddlewareContext[mcp_types.DiscoverRequest]
Discovered = mcp_types.DiscoverResult | dict[str, Any]


class Subscriptions(Middleware):
    """`subscriptions/listen` for resources, which come and go; tools and prompts stay."""

    def __init__(self) -> None:
        self.bus = InMemorySubscriptionBus()
        self._listening = ListenHandler(self.bus)

    def serve(self, server: FastMCP[Any]) -> None:
        """Let `server` answer the request; FastMCP does not by itself (fastmcp#4995)."""
        low_level: Any = getattr(server, "_mcp_server", None)
        if hasattr(low_level, "add_request_handler"):
            low_level.add_request_handler(
                "subscriptions/listen", mcp_types.SubscriptionsListenRequestParams, self._listen
            )
        else:
            logger.info("this FastMCP has no hook for subscriptions; changes are seen at the list")

    async def _listen(
        self, ctx: Any, params: mcp_types.SubscriptionsListenRequestParams
    ) -> mcp_types.SubscriptionsListenResult:
        wanted = params.notifications
        wanted.tools_list_changed = wanted.prompts_list_changed = None  # they never change
        return await self._listening(ctx, params)

    def close(self) -> None:
        """End every stream in good order."""
        self._listening.close()

    async def on_initialize(
        self,
        context: Initialize,
        call_next: CallNext[mcp_types.InitializeRequest, mcp_types.InitializeResult | None],
    ) -> mcp_types.InitializeResult | None:
        """Say what changes, to clients of the handshake."""
        result = await call_next(context)
        if result is not None:
            _correct(result.capabilities)
        return result

    async def on_discover(
        self, context: Discover, call_next: CallNext[mcp_types.DiscoverRequest, Discovered]
    ) -> Discovered:
        """Say what changes, to the others."""
        result = await call_next(context)
        if isinstance(result, mcp_types.DiscoverResult):
            _correct(result.capabilities)
        return result


def _correct(capabilities: mcp_types.ServerCapabilities) -> None:
    """Take back that the lists of tools and prompts change; FastMCP says it of all three."""
    for lists in (capabilities.tools, capabilities.prompts):
        if lists is not None:
            lists.list_changed = False
