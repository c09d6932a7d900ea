"""Lines of JSON-RPC to and from a child process.

Loaded when the first server is connected, for FastMCP's client is not cheap to import.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import mcp_types
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastmcp.client.transports import ClientTransport
from fastmcp.client.transports.base import SessionKwargs, TransportOptions
from mcp import ClientSession
from mcp.shared.message import SessionMessage
from typing_extensions import Unpack

from .children import HURRY, LINE, Child
from .session import Session

logger = logging.getLogger(__name__)

#: Seconds of which a server's chatter is added up, and how much of it in bytes is a flood; a line
#: costs at least `CHEAPEST`. What answers a request is no chatter.
SPAN, FLOOD, CHEAPEST = 10.0, 64 * 1024 * 1024, 4096
#: Messages that wait for a server that does not read.
OUTBOX = 64
#: Bytes of a line from which on it is parsed beside the loop.
LONG = 1024 * 1024

Message = SessionMessage | Exception


class ChildTransport(ClientTransport):
    """Carries MCP to a child process.

    Lines that are something else are dropped; a server that sends far too much is ended.
    """

    def __init__(
        self, command: str, args: Sequence[str], env: Mapping[str, str], cwd: Path | None
    ) -> None:
        self._start = command, args, env, cwd
        self.child: Child | None = None
        #: Set when nothing more will come; `why` says the reason from then on.
        self.over = anyio.Event()
        self.why = ""
        #: How many lines came; they are signs of life, whatever they hold.
        self.heard = 0
        self._asked: set[str] = set()
        self._probe: mcp_types.RequestId | None = None
        self._chatter, self._since = 0, 0.0
        self._dropped = 0
        self._is_closing = False

    @asynccontextmanager
    async def connect_session(
        self,
        *,
        transport_options: TransportOptions | None = None,
        **session_kwargs: Unpack[SessionKwargs],
    ) -> AsyncIterator[ClientSession]:
        """Start the child, and end it with the session.

        Raises:
            NotStarted: it cannot be started.
        """
        child = self.child = await Child.start(*self._start)
        try:
            to_us, inbox = anyio.create_memory_object_stream[Message](0)
            outbox, to_child = anyio.create_memory_object_stream[SessionMessage](OUTBOX)
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._read, child, to_us)
                tasks.start_soon(self._write, child, to_child)
                try:
                    async with Session(inbox, outbox, **session_kwargs) as session:
                        yield session
                finally:
                    await self.end(HURRY)
                    tasks.cancel_scope.cancel()
        finally:
            await self.end(HURRY)

    async def end(self, grace: float) -> None:
        """End the child, whether or not it is in use."""
        self._is_closing = True
        if self.child is not None:
            await self.child.end(grace)

    async def _read(self, child: Child, to_us: MemoryObjectSendStream[Message]) -> None:
        """Hand on what the child says, until it ends, or must be ended."""
        why = ""
        async with to_us:
            with anyio.CancelScope() as scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(_stop_after_exit, child, scope)
                    why = await self._hand_on(child, to_us)
                    scope.cancel()
            if not why:
                with anyio.move_on_after(0.5):
                    await child.exited.wait()
                ended = child.status is not None
                why = f"it ended with status {child.status}" if ended else "it closed its output"
            await child.end(HURRY)  # what it started has no use without it
            self.why = "" if self._is_closing else why
            self.over.set()

    async def _hand_on(self, child: Child, to_us: MemoryObjectSendStream[Message]) -> str:
        """Hand on messages until the output's end; return why it was left earlier."""
        while True:
            try:
                line = await child.stdout.readline()
            except ValueError:
                return f"it sent a line of more than {LINE // 1024 // 1024} MiB"
            if not line:
                return ""
            self.heard += 1
            message = await self._message(line)
            if not self._answers(message) and self._is_flood(len(line)):
                return "it floods its output"
            if message is not None:
                try:
                    await to_us.send(SessionMessage(message))
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    return ""  # the session is over

    async def _message(self, line: bytes) -> mcp_types.JSONRPCMessage | None:
        """Return the message of a line; None for one that holds none."""
        text = line.strip()
        if text == b"null" and self._probe is not None:
            # Some answer what they do not know, notifications as well, with null.
            probe, self._probe = self._probe, None
            error = mcp_types.ErrorData(code=mcp_types.METHOD_NOT_FOUND, message="answered null")
            return mcp_types.JSONRPCError(jsonrpc="2.0", id=probe, error=error)
        try:
            if not text.startswith(b"{"):
                raise ValueError(text[:1])
            if len(text) < LONG:
                return mcp_types.jsonrpc_message_adapter.validate_json(text, by_name=False)
            return await anyio.to_thread.run_sync(
                lambda: mcp_types.jsonrpc_message_adapter.validate_json(text, by_name=False)
            )
        except ValueError:  # pydantic's own is one
            if not self._dropped and text not in (b"", b"null"):
                logger.info("a line of %s that is no JSON-RPC was dropped", self._start[0])
            self._dropped += 1
            return None

    def _answers(self, message: mcp_types.JSONRPCMessage | None) -> bool:
        """Return whether a message answers a request of ours."""
        if not isinstance(message, mcp_types.JSONRPCResponse | mcp_types.JSONRPCError):
            return False
        if str(message.id) not in self._asked:
            return False
        self._asked.discard(str(message.id))
        self._probe = None if self._probe == message.id else self._probe
        return True

    def _is_flood(self, size: int) -> bool:
        now = time.monotonic()
        if now - self._since > SPAN:
            self._chatter, self._since = 0, now
        self._chatter += max(size, CHEAPEST)
        return self._chatter > FLOOD

    async def _write(
        self, child: Child, to_child: MemoryObjectReceiveStream[SessionMessage]
    ) -> None:
        """Write what the session says; a child that does not listen any more is ended."""
        async with to_child:
            async for item in to_child:
                message = item.message
                if isinstance(message, mcp_types.JSONRPCRequest):
                    self._asked.add(str(message.id))
                    if message.method == "server/discover":
                        self._probe = message.id
                text = message.model_dump_json(by_alias=True, exclude_unset=True)
                child.stdin.write(text.encode() + b"\n")
                try:
                    await child.stdin.drain()
                except ConnectionError:
                    await child.end(HURRY)
                    return


async def _stop_after_exit(child: Child, scope: anyio.CancelScope) -> None:
    """Stop the reading shortly after the child has ended, though a stray holds its output open."""
    await child.exited.wait()
    await anyio.sleep(0.2)
    scope.cancel()
