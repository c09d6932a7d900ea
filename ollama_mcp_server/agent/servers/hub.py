"""The servers that agents use: connected when needed, shared, kept warm, closed when idle."""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ...errors import InvalidArgument, ToolFailed
from .children import HURRY
from .lease import CURE, FAILED, Lease, Status, Watch, status_of

if TYPE_CHECKING:
    from ..definitions.documents import Definition
    from .connections import Connection

__all__ = ["CURE", "FAILED", "Hub", "Lease", "Status"]

#: Servers that are remembered beside those that are connected.
KNOWN = 50


class Hub:
    """All connections to other servers."""

    def __init__(
        self, env: Mapping[str, str], *, idle: float = 300, connect: float = 20, most: int = 10
    ) -> None:
        """Give each server `connect` s to start, and end it after `idle` s without use.

        `env` is what definitions may refer to; `most` bounds the servers of one lease, and those
        that are kept unused.
        """
        self._env = env
        self._idle, self._connect, self._most = idle, connect, most
        self._connections: list[Connection] = []
        #: Names of servers that speak the older protocol, so that they are not asked again.
        self._legacy: set[str] = set()
        self._timer: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._is_closed = False
        #: Is told of every call of a tool.
        self.watch: Watch | None = None

    @asynccontextmanager
    async def lease(
        self, definitions: Sequence[Definition], path: Path | None
    ) -> AsyncIterator[Lease]:
        """Connect servers side by side, and hold them; what cannot be used is in `down`.

        Raises:
            InvalidArgument: they are too many, or two have the same name.
            ToolFailed: the hub is closed.
        """
        if self._is_closed:
            raise ToolFailed("the MCP servers are shut down", "This server is ending")
        if len(definitions) > self._most:
            raise InvalidArgument(
                f"{len(definitions)} MCP servers are too many at once",
                f"Name at most {self._most} in `servers`",
            )
        if len({definition.name for definition in definitions}) < len(definitions):
            raise InvalidArgument("two MCP servers have the same name", "Give each its own")
        connections = [self._connection(definition, path) for definition in definitions]
        for connection in connections:
            connection.users += 1
        try:
            if connections:
                opening = [asyncio.create_task(one.ready()) for one in connections]
                try:
                    await asyncio.gather(*opening)
                finally:
                    for task in opening:
                        task.cancel()
            yield Lease(connections, self.watch)
        finally:
            for connection in connections:
                connection.users -= 1
                connection.unused_since = time.monotonic()
            self._expect_idleness()

    def statuses(self) -> list[Status]:
        """Return how each server is that was used so far."""
        return [status_of(connection) for connection in self._connections]

    async def aclose(self) -> None:
        """End every server, side by side and within about 3 s; nothing can be leased any more."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        connections, self._connections = self._connections, []
        await asyncio.gather(
            *(connection.close(HURRY, for_good=True) for connection in connections)
        )

    def _connection(self, definition: Definition, path: Path | None) -> Connection:
        from .connections import Connection  # here, because FastMCP's client is not cheap to import

        for connection in self._connections:
            if connection.definition == definition and connection.path == path:
                return connection
        made = Connection(definition, path, self._env, self._connect, self._legacy)
        unused = [one for one in self._connections if not one.users and not one.is_warm]
        for forgotten in unused[: max(0, len(self._connections) - KNOWN)]:
            self._connections.remove(forgotten)
        self._connections.append(made)
        return made

    def _expect_idleness(self) -> None:
        """See to it that the one timer runs, if there is something for it to wait for."""
        self._news.set()
        if self._is_closed or (self._timer is not None and not self._timer.done()):
            return
        if any(not one.users and one.is_warm for one in self._connections):
            self._timer = contextvars.Context().run(asyncio.create_task, self._close_idle())

    async def _close_idle(self) -> None:
        """Close what is unused for too long, or too much; ends when nothing is unused."""
        while warm := [one for one in self._connections if not one.users and one.is_warm]:
            warm.sort(key=lambda one: one.unused_since)
            late = time.monotonic() - self._idle
            due = [one for one in warm if one.unused_since <= late] or warm[: -self._most]
            if due:
                await asyncio.gather(*(_close_unused(one) for one in due))
            else:
                with anyio.move_on_after(warm[0].unused_since - late):
                    self._news.clear()
                    await self._news.wait()


async def _close_unused(connection: Connection) -> None:
    """Close a connection, unless somebody has just taken it."""
    if not connection.users:
        await connection.close()
