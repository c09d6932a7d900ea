"""One connection to one server: made when it is first needed, kept warm, ended with all it started.

Loaded when the first server is connected, for FastMCP's client is not cheap to import.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types
from fastmcp import Client
from mcp import MCPError

from ... import __version__
from ...errors import OllamaMCPError, TimedOut, ToolFailed
from ..definitions.documents import Definition
from ..definitions.rules import command_line
from ..guard import bounds
from .children import GRACE, HURRY
from .listing import Listing, is_modern
from .reasons import failure, hidden, in_words, secrets_of
from .transports import ChildTransport, HttpTransport

#: Seconds that a server that let a call time out has to show that it lives.
DOUBT = 2.0
#: Seconds for the protocol's own end of a connection, where there is one.
FAREWELL = 2.0
#: Characters of a tool's progress message that are passed on.
MESSAGE = 200


class Broken(Exception):
    """The connection ended while a call was under way; the message says why."""

    def __init__(self, why: str | None, *, is_unmade: bool = False) -> None:
        super().__init__(why or "the connection ended")
        #: Whether the server surely did not begin with the call.
        self.is_unmade = is_unmade


class Connection:
    """A server's one connection, shared by all runs that use the server with this path."""

    def __init__(
        self,
        definition: Definition,
        path: Path | None,
        env: Mapping[str, str],
        limit: float,
        legacy: set[str],
    ) -> None:
        """Connect within `limit` s; `legacy` holds the names of servers of the older protocol."""
        self.definition, self.path = definition, path
        self.state: Literal["up", "down", "idle"] = "idle"
        self.since = time.time()
        self.error: str | None = None
        self.listing = Listing()
        #: Leases that hold it, and since when none does (monotonic seconds).
        self.users, self.unused_since = 0, time.monotonic()
        #: The connecting that is under way, for all who wait for it.
        self.opening: asyncio.Task[None] | None = None
        self._env, self._limit, self._legacy = env, limit, legacy
        self._secrets: list[str] = []
        self._client: Client[Any] | None = None
        self._transport: ChildTransport | HttpTransport | None = None
        self._keeping: asyncio.Task[None] | None = None
        self._calls = 0
        self._is_doubtful = False
        self._is_closed = False

    @property
    def is_warm(self) -> bool:
        """Whether it is up, or on the way to it."""
        return self.state == "up" or self.opening is not None

    async def ready(self) -> None:
        """Wait until it is up, or known to be down; never raises for what the server does."""
        client = self._client
        if self.state == "up" and client is not None and not self.listing.is_told:
            why = await failure(self.listing.take(client), self._limit)
            if why and not client.is_connected():
                await self._fall(client, why)
        if self.state == "up" or self._is_closed:
            return
        if self.opening is None:
            # A context of its own, because it outlives the request that happens to need it first.
            self.opening = contextvars.Context().run(asyncio.create_task, self._open())
        await asyncio.wait([self.opening])  # whoever waits can be cancelled; it goes on

    async def _open(self) -> None:
        try:
            why = await failure(self._connect(), self._limit)
            if why is None and self._client is not None:
                self._turn("up")
                self._keeping = asyncio.create_task(self._keep(self._client))
            else:
                self._legacy.discard(self.definition.name)
                await self._fall(self._client, why or "it has ended")
        finally:
            self.opening = None

    async def _connect(self) -> None:
        ready = bounds.expanded(self.definition, self._env)
        self._secrets = secrets_of(self.definition, ready, self._env)
        if ready.command is not None:
            bounds.check_command(ready, self._env.get("PATH"), self.path)
        remembered = self.definition.name in self._legacy
        for mode in ("legacy",) if remembered else ("auto", "legacy"):
            self._transport = self._carrier(ready)
            self._client = client = Client(
                self._transport,
                mode=mode,
                message_handler=self.listing.hear,
                log_handler=_ignore,
                client_info=mcp_types.Implementation(name="ollama-mcp-server", version=__version__),
            )
            try:
                await client.__aenter__()  # type: ignore[no-untyped-call]
                break
            except MCPError:
                died = isinstance(self._transport, ChildTransport) and self._transport.why
                if not died or mode == "legacy":
                    raise  # else it may be the question for its era that ended it
        if not is_modern(client):
            self._legacy.add(self.definition.name)
        await self.listing.take(client)

    def _carrier(self, ready: Definition) -> ChildTransport | HttpTransport:
        if ready.command is None:
            headers = {name: value.get_secret_value() for name, value in ready.headers.items()}
            return HttpTransport(str(ready.url), headers)
        folder = self.path
        if ready.cwd is not None:
            folder = (self.path or Path()) / os.path.expanduser(ready.cwd)  # noqa: PTH111 - it never raises
        environment = bounds.environment_for(self.definition, self._env)
        return ChildTransport(ready.command, command_line(ready, self.path), environment, folder)

    async def _keep(self, client: Client[Any]) -> None:
        """Take changed tools in, and notice the server's end, for as long as it is connected."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.listing.watch, client)
            if isinstance(self._transport, ChildTransport):
                await self._transport.over.wait()
                tasks.cancel_scope.cancel()
        await self._fall(client, "the connection ended")

    async def call(
        self,
        tool: str,
        arguments: dict[str, Any],
        timeout: float,
        progress: Callable[[str], None] | None,
    ) -> mcp_types.CallToolResult:
        """Call a tool and return its result, a failed one too.

        Raises:
            TimedOut: it did not answer within `timeout` s; the server was told to stop.
            ToolFailed: the server refused the call, or answered what is no result.
            Broken: the connection ended.
        """
        client, name = self._client, f"{self.definition.name}:{tool}"
        if client is None:
            raise Broken(self.error, is_unmade=True)

        say = progress

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            if say is not None:
                part = f"{progress:g}/{total:g}" if total else f"{progress:g}"
                say(message[:MESSAGE] if message else part)

        self._calls += 1
        try:
            with anyio.move_on_after(timeout):
                return await client.call_tool_mcp(tool, arguments, progress_handler=tell)
            self._is_doubtful = True
            raise TimedOut(
                f"{name} gave no answer within {timeout:g} s",
                "Ask it for less, or give tools more time with tool_timeout (ms)",
            )
        except OllamaMCPError:
            raise
        except Exception as error:  # noqa: BLE001 - a foreign server's call: anything may come
            if not self._is_lost(client, error):
                raise ToolFailed(f"{name}: {self._told(in_words(error))}") from None
            if isinstance(self._transport, ChildTransport):
                with anyio.move_on_after(FAREWELL):
                    await self._transport.over.wait()
            is_unmade = self._is_forgotten(client)
            await self._fall(client, in_words(error))
            raise Broken(self.error, is_unmade=is_unmade) from None
        finally:
            self._calls -= 1

    async def check(self) -> None:
        """End a server that let a call time out and shows no sign of life; nobody else uses it."""
        client, transport = self._client, self._transport
        if not self._is_doubtful or self._calls or client is None:
            return
        if not isinstance(transport, ChildTransport):
            return
        self._is_doubtful = False
        heard = transport.heard
        await failure(client.ping(), DOUBT)
        if transport.heard == heard:
            await self._fall(client, "it did not answer any more")

    def _is_lost(self, client: Client[Any], error: Exception) -> bool:
        """Return whether an error means that there is no connection any more."""
        if client is not self._client or not client.is_connected():
            return True
        if isinstance(self._transport, ChildTransport) and self._transport.over.is_set():
            return True
        # What the SDK says itself; its code is also used by servers, for other things.
        closed = isinstance(error, MCPError) and error.message == "Connection closed"
        return closed or self._is_forgotten(client)

    def _is_forgotten(self, client: Client[Any]) -> bool:
        """Return whether an HTTP server of the older protocol says that it knows no such session.

        The newer protocol has no sessions; there, HTTP 404 means that a method is not known.
        """
        status = self._transport.status if isinstance(self._transport, HttpTransport) else None
        return status == 404 and not is_modern(client)

    async def _fall(self, client: Client[Any] | None, why: str) -> None:
        """Be down from now on, and end what is left, unless that was done."""
        if client is not self._client:
            return
        if isinstance(transport := self._transport, ChildTransport) and transport.child:
            why = transport.why or why
            if said := await transport.child.said():
                why += f": {said}"
        if client is self._client:
            self.error = self._told(why)
            await self._end("down", HURRY)

    def _told(self, why: str) -> str:
        """Return a reason as others may read it, with the status of an HTTP server's refusal."""
        status = self._transport.status if isinstance(self._transport, HttpTransport) else None
        if status is not None:
            why += f" (HTTP {status}{'; check its headers' * (status in (401, 403))})"
        return hidden(why, self._secrets)

    async def close(self, grace: float = GRACE, *, for_good: bool = False) -> None:
        """Disconnect, and end the server and all that it started; ready again unless `for_good`."""
        self._is_closed = for_good
        if opening := self.opening:
            opening.cancel()
            if isinstance(self._transport, ChildTransport):
                await self._transport.end(grace)
            await asyncio.wait([opening], timeout=FAREWELL)
        self.error = None
        await self._end("idle", grace)

    async def _end(self, state: Literal["down", "idle"], grace: float) -> None:
        client, transport = self._client, self._transport
        self._client = self._transport = None
        self._is_doubtful = False
        self.listing.clear()
        self._turn(state)
        if self._keeping not in (None, asyncio.current_task()):
            self._keeping.cancel()
        if isinstance(transport, ChildTransport):
            await transport.end(grace)
        if client is not None:
            closing = asyncio.ensure_future(client.close())  # type: ignore[no-untyped-call]
            closing.add_done_callback(lambda task: task.cancelled() or task.exception())
            await asyncio.wait([closing], timeout=FAREWELL)

    def _turn(self, state: Literal["up", "down", "idle"]) -> None:
        if state != self.state:
            self.state, self.since = state, time.time()
        if state == "up":
            self.error = None


async def _ignore(_: Any) -> None:
    """Drop what a server logs; its own stderr, or its own log, is the place for that."""
