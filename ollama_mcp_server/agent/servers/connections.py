"""One connection to one server: made when it is first needed, kept warm, ended with all it started.

Loaded when the first server is connected, for FastMCP's client is not cheap to import.
"""

from __future__ import annotations

import asyncio
import contextvars
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import anyio
import mcp_types
from mcp import MCPError

from ...errors import OllamaMCPError, TimedOut, ToolFailed
from ..definitions.documents import Definition
from ..guard import bounds
from .children import GRACE, HURRY
from .link import FAREWELL, Link, carrier
from .listing import Listing, is_modern
from .reasons import failure, hidden, in_words, secrets_of

#: Seconds that a server that let a call time out has to show that it lives.
DOUBT = 2.0
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
        self._link: Link | None = None
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
        link = self._link
        if self.state == "up" and link is not None and not self.listing.is_told:
            why = await failure(self.listing.take(link.client), self._limit)
            if why and not link.client.is_connected():
                await self._fall(link, why)
        if self.state == "up" or self._is_closed:
            return
        if self.opening is None:
            # A context of its own, because it outlives the request that happens to need it first.
            self.opening = contextvars.Context().run(asyncio.create_task, self._open())
        await asyncio.wait([self.opening])  # whoever waits can be cancelled; it goes on

    async def _open(self) -> None:
        try:
            why = await failure(self._connect(), self._limit)
            if why is None and self._link is not None:
                self._turn("up")
                self._keeping = asyncio.create_task(self._keep(self._link))
            else:
                self._legacy.discard(self.definition.name)
                await self._fall(self._link, why or "it has ended")
        finally:
            self.opening = None

    async def _connect(self) -> None:
        ready = bounds.expanded(self.definition, self._env)
        self._secrets = secrets_of(self.definition, ready, self._env)
        environment: dict[str, str] = {}
        if ready.command is not None:
            bounds.check_command(ready, self._env.get("PATH"), self.path)
            environment = bounds.environment_for(self.definition, self._env)
        remembered = self.definition.name in self._legacy
        modes: tuple[Literal["auto", "legacy"], ...] = ("auto", "legacy")
        for mode in modes[1:] if remembered else modes:
            self._link = link = Link(carrier(ready, self.path, environment), mode, self.listing)
            try:
                await link.open()
                break
            except MCPError:
                died = link.child is not None and link.child.why
                if not died or mode == "legacy":
                    raise  # else it may be the question for its era that ended it
        if not is_modern(link.client):
            self._legacy.add(self.definition.name)
        await self.listing.take(link.client)

    async def _keep(self, link: Link) -> None:
        """Take changed tools in, and notice the server's end, for as long as it is connected."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.listing.watch, link.client)
            if link.child is not None:
                await link.child.over.wait()
                tasks.cancel_scope.cancel()
        await self._fall(link, "the connection ended")

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
        link, name = self._link, f"{self.definition.name}:{tool}"
        if link is None:
            raise Broken(self.error, is_unmade=True)

        say = progress

        async def tell(progress: float, total: float | None, message: str | None) -> None:
            if say is not None:
                part = f"{progress:g}/{total:g}" if total else f"{progress:g}"
                say(message[:MESSAGE] if message else part)

        self._calls += 1
        try:
            with anyio.move_on_after(timeout):
                return await link.client.call_tool_mcp(tool, arguments, progress_handler=tell)
            self._is_doubtful = True
            raise TimedOut(
                f"{name} gave no answer within {timeout:g} s",
                "Ask it for less, or give tools more time with tool_timeout (ms)",
            )
        except OllamaMCPError:
            raise
        except Exception as error:  # noqa: BLE001 - a foreign server's call: anything may come
            if link is self._link and not link.is_lost(error):
                raise ToolFailed(f"{name}: {self._told(link, in_words(error))}") from None
            if link.child is not None:
                with anyio.move_on_after(FAREWELL):
                    await link.child.over.wait()
            is_unmade = link.is_forgotten
            await self._fall(link, in_words(error))
            raise Broken(self.error, is_unmade=is_unmade) from None
        finally:
            self._calls -= 1

    async def check(self) -> None:
        """End a server that let a call time out and shows no sign of life; nobody else uses it."""
        link = self._link
        if not self._is_doubtful or self._calls or link is None or link.child is None:
            return
        self._is_doubtful = False
        heard = link.child.heard
        await failure(link.client.ping(), DOUBT)
        if link.child.heard == heard:
            await self._fall(link, "it did not answer any more")

    async def _fall(self, link: Link | None, why: str) -> None:
        """Be down from now on, and end what is left, unless that was done."""
        if link is not self._link:
            return
        if link is not None:
            why = await link.last_words(why)
        if link is self._link:
            self.error = self._told(link, why)
            await self._end("down", HURRY)

    def _told(self, link: Link | None, why: str) -> str:
        """Return a reason as others may read it, with the status of an HTTP server's refusal."""
        status = link.status if link is not None else None
        if status is not None:
            why += f" (HTTP {status}{'; check its headers' * (status in (401, 403))})"
        return hidden(why, self._secrets)

    async def close(self, grace: float = GRACE, *, for_good: bool = False) -> None:
        """Disconnect, and end the server and all that it started; ready again unless `for_good`."""
        self._is_closed = for_good
        if opening := self.opening:
            opening.cancel()
            if self._link is not None and self._link.child is not None:
                await self._link.child.end(grace)
            await asyncio.wait([opening], timeout=FAREWELL)
        self.error = None
        await self._end("idle", grace)

    async def _end(self, state: Literal["down", "idle"], grace: float) -> None:
        link, self._link = self._link, None
        self._is_doubtful = False
        self.listing.clear()
        self._turn(state)
        if self._keeping not in (None, asyncio.current_task()):
            self._keeping.cancel()
        if link is not None:
            await link.end(grace)

    def _turn(self, state: Literal["up", "down", "idle"]) -> None:
        if state != self.state:
            self.state, self.since = state, time.time()
        if state == "up":
            self.error = None
