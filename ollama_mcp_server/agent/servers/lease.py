"""The servers of one run: their tools, and the calls of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ...errors import NotFound, OllamaMCPError, ToolFailed
from ..guard import bounds

if TYPE_CHECKING:
    import mcp_types

    from ..definitions.documents import Definition
    from .connections import Connection

#: Told of a call: server, tool, its outcome (ok, failed, cancelled or the code of an error), s.
Watch: TypeAlias = "Callable[[str, str, str, float], None]"

FAILED = "MCP server failed to initialize"
CURE = (
    "Check that its command exists and that its environment is what it needs, and start it by hand "
    "to see what it says"
)


@dataclass
class Status:
    """How a server is: up, down with the reason, or idle: closed until it is needed again."""

    name: str
    state: Literal["up", "down", "idle"]
    #: Seconds of the epoch.
    since: float
    #: Why it is down; neither its name nor a secret stands in it.
    error: str | None
    #: Names of its tools.
    tools: list[str]


class Lease:
    """The servers of one run."""

    def __init__(self, connections: Sequence[Connection], watch: Watch | None = None) -> None:
        self._watch = watch
        self._connections = {one.definition.name: one for one in connections}
        self._restarted: set[str] = set()
        #: Those that could not be used from the start.
        self._failed = {name for name, one in self._connections.items() if one.state != "up"}

    @property
    def tools(self) -> dict[str, list[mcp_types.Tool]]:
        """The tools of each server that is up, in the order of the definitions."""
        return {
            name: one.listing.tools for name, one in self._connections.items() if one.state == "up"
        }

    @property
    def version(self) -> int:
        """A number that grows whenever `tools` changes."""
        return sum(one.listing.version for one in self._connections.values())

    @property
    def down(self) -> list[Status]:
        """Those that cannot be used, each with its reason."""
        return [status_of(one) for one in self._connections.values() if one.state != "up"]

    def definition(self, server: str) -> Definition:
        """Return a server's definition.

        Raises:
            NotFound: it is not of this lease.
        """
        return self._one(server).definition

    async def call(
        self,
        server: str,
        tool: str,
        arguments: dict[str, Any],
        timeout: float,
        progress: Callable[[str], None] | None = None,
    ) -> mcp_types.CallToolResult:
        """Call a tool and return its result, a failed one too; `progress` gets what it reports.

        A server that has ended is started again once. A call that it ended in is made again only
        where the tool says that it changes nothing.

        Raises:
            NotFound: there is no such server here.
            TimedOut: it gave no answer within `timeout` s.
            ToolFailed: it cannot be used, it ended, or it refused the call.
        """
        began, outcome = time.monotonic(), "cancelled"
        try:
            result = await self._call(server, tool, arguments, timeout, progress)
            outcome = "failed" if result.is_error else "ok"
            return result
        except OllamaMCPError as error:
            outcome = error.code
            raise
        finally:
            if self._watch is not None and server in self._connections:
                self._watch(server, tool, outcome, time.monotonic() - began)

    async def _call(
        self,
        server: str,
        tool: str,
        arguments: dict[str, Any],
        timeout: float,
        progress: Callable[[str], None] | None,
    ) -> mcp_types.CallToolResult:
        from .connections import Broken

        connection = self._one(server)
        if server in self._failed and connection.state != "up":
            raise ToolFailed(f"{FAILED}: {server}: {connection.error}", CURE)
        await connection.check()
        if not await self._is_up(connection):
            raise ToolFailed(f"{server}:{tool}: the MCP server has ended: {connection.error}", CURE)
        reads = any(one.name == tool and bounds.reads_only(one) for one in connection.listing.tools)
        try:
            return await connection.call(tool, arguments, timeout, progress)
        except Broken as error:
            broken = error
        is_up = await self._is_up(connection)
        if is_up and (reads or broken.is_unmade):
            try:
                return await connection.call(tool, arguments, timeout, progress)
            except Broken as error:
                broken, is_up = error, False
        raise ToolFailed(
            f"{server}:{tool}: the MCP server ended during the call: {broken}",
            "It was started again; see what the call has done before you make it again"
            if is_up
            else CURE,
        )

    async def _is_up(self, connection: Connection) -> bool:
        """Return whether a server is up, started again where it was not; that is done once."""
        name = connection.definition.name
        if connection.state != "up" and (connection.opening or name not in self._restarted):
            self._restarted.add(name)
            await connection.ready()
        return connection.state == "up"

    def _one(self, server: str) -> Connection:
        if server not in self._connections:
            raise NotFound(f"there is no MCP server {server} in this run")
        return self._connections[server]


def status_of(connection: Connection) -> Status:
    """Return how a connection's server is."""
    names = [tool.name for tool in connection.listing.tools]
    return Status(
        connection.definition.name, connection.state, connection.since, connection.error, names
    )
