"""One client with what carries it: opened once, ended once.

Loaded when the first server is connected, for FastMCP's client is not cheap to import.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import mcp_types
from fastmcp import Client
from mcp import MCPError

from ... import __version__
from ..definitions.documents import Definition
from ..definitions.rules import command_line
from .lines import ChildTransport
from .listing import Listing, is_modern
from .streamable import HttpTransport

#: Seconds for the protocol's own end of a connection, where there is one.
FAREWELL = 2.0


class Link:
    """A client and its transport; what a connection has while it is up, or on the way to it."""

    def __init__(
        self,
        transport: ChildTransport | HttpTransport,
        mode: Literal["auto", "legacy"],
        listing: Listing,
    ) -> None:
        """Make it; `mode` says how the server's protocol is found, `listing` hears of changes."""
        self.client: Client[Any] = Client(
            transport,
            mode=mode,
            message_handler=listing.hear,
            log_handler=_ignore,
            client_info=mcp_types.Implementation(name="ollama-mcp-server", version=__version__),
        )
        #: The transport, if it is a child process.
        self.child = transport if isinstance(transport, ChildTransport) else None
        self._http = transport if isinstance(transport, HttpTransport) else None

    async def open(self) -> None:
        """Connect; raises what the server, or the way to it, makes of it."""
        await self.client.__aenter__()  # type: ignore[no-untyped-call]

    @property
    def status(self) -> int | None:
        """The status of an HTTP server's last refusal."""
        return self._http.status if self._http is not None else None

    @property
    def is_forgotten(self) -> bool:
        """Whether an HTTP server of the older protocol says that it knows no such session.

        The newer protocol has no sessions; there, HTTP 404 means that a method is not known.
        """
        return self.status == 404 and not is_modern(self.client)

    def is_lost(self, error: Exception) -> bool:
        """Return whether an error means that there is no connection any more."""
        if not self.client.is_connected():
            return True
        if self.child is not None and self.child.over.is_set():
            return True
        # What the SDK says itself; its code is also used by servers, for other things.
        closed = isinstance(error, MCPError) and error.message == "Connection closed"
        return closed or self.is_forgotten

    async def last_words(self, why: str) -> str:
        """Return why a child ended, as far as is known, with what it said last."""
        if self.child is None or self.child.child is None:
            return why
        why = self.child.why or why
        said = await self.child.child.said()
        return f"{why}: {said}" if said else why

    async def end(self, grace: float) -> None:
        """End the server, if it is a child, and the client."""
        if self.child is not None:
            await self.child.end(grace)
        closing = asyncio.ensure_future(self.client.close())  # type: ignore[no-untyped-call]
        closing.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.wait([closing], timeout=FAREWELL)


def carrier(
    ready: Definition, path: Path | None, environment: Mapping[str, str]
) -> ChildTransport | HttpTransport:
    """Return what carries MCP to a server, with its variables filled in.

    Args:
        ready: the server, expanded.
        path: the folder that the work is about.
        environment: of a child process.
    """
    if ready.command is None:
        headers = {name: value.get_secret_value() for name, value in ready.headers.items()}
        return HttpTransport(str(ready.url), headers)
    folder = path
    if ready.cwd is not None:
        folder = (path or Path()) / os.path.expanduser(ready.cwd)  # noqa: PTH111 - it never raises
    return ChildTransport(ready.command, command_line(ready, path), environment, folder)


async def _ignore(_: Any) -> None:
    """Drop what a server logs; its own stderr, or its own log, is the place for that."""
