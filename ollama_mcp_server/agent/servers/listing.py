"""The tools that a server has, and the news of them."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import anyio
import mcp_types
from fastmcp import Client
from mcp import MCPError
from mcp.client.subscriptions import listen
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

from .reasons import failure

logger = logging.getLogger(__name__)

#: Pages of tools that are read.
PAGES = 50
#: Seconds between word of changed tools and the look at them, so that many words cost one look.
SETTLE = 0.1
#: Seconds that a look may take.
LOOK = 20.0


class Listing:
    """One server's tools: taken when it is connected, and again when it says that they changed."""

    def __init__(self) -> None:
        self.tools: list[mcp_types.Tool] = []
        #: Grows whenever `tools` changes.
        self.version = 0
        #: Whether the server tells of changes by itself; else one has to look.
        self.is_told = False
        self._changed = asyncio.Event()

    async def take(self, client: Client[Any]) -> None:
        """Ask for the tools, all pages of them."""
        try:
            self._put(await client.list_tools(max_pages=PAGES))
        except MCPError as error:
            if error.code != mcp_types.METHOD_NOT_FOUND:
                raise
            self._put([])  # a server may have none, and not know the question

    def clear(self) -> None:
        """Have no tools; there is no server any more."""
        self.is_told = False
        self._put([])

    def _put(self, tools: list[mcp_types.Tool]) -> None:
        if tools != self.tools:
            self.tools = tools
            self.version += 1

    async def hear(self, message: Any) -> None:
        """Note what a server of the older protocol says by itself."""
        if isinstance(message, mcp_types.ToolListChangedNotification):
            self._changed.set()

    async def watch(self, client: Client[Any]) -> None:
        """Take changed tools in, until cancelled."""
        capabilities = client.server_capabilities
        tells = bool(capabilities and capabilities.tools and capabilities.tools.list_changed)
        self.is_told = tells or not is_modern(client)
        async with anyio.create_task_group() as tasks:
            if tells and is_modern(client):
                tasks.start_soon(self._subscribe, client)
            while True:
                await self._changed.wait()
                await asyncio.sleep(SETTLE)
                self._changed.clear()
                if why := await failure(self.take(client), LOOK):
                    logger.info("the changed tools of an MCP server were not had: %s", why)

    async def _subscribe(self, client: Client[Any]) -> None:
        """Hear of changes in the way of 2026, for as long as the server lets us."""

        async def hear() -> None:
            async with listen(client.session, tools_list_changed=True) as events:
                async for _ in events:
                    self._changed.set()

        await failure(hear(), None)
        self.is_told = False


def is_modern(client: Client[Any]) -> bool:
    """Return whether a connected client speaks the protocol of 2026."""
    return client.protocol_version in MODERN_PROTOCOL_VERSIONS
