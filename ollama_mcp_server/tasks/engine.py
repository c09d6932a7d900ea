"""FastMCP's engine, as this server uses it: where tasks are kept, and who works on them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import fastmcp_tasks.client
import mcp_types
from docket.dependencies import current_execution
from fastmcp import Context
from fastmcp.client import extension_hooks
from fastmcp.server.dependencies import get_access_token
from fastmcp.tools import Tool, ToolResult
from fastmcp.utilities.tasks import TaskConfig
from fastmcp_tasks.context import get_task_context
from fastmcp_tasks.encryption import snapshot_codec
from fastmcp_tasks.settings import tasks_settings
from redis.asyncio.connection import parse_url

from ..delegation.memory.valkey import address_of
from ..errors import OllamaMCPError, ToolFailed, Unauthorized
from ..middleware import failure
from ..settings import Settings
from .calls import Tasked, Told, made
from .sign import answered, at_work, outcome_elsewhere

if TYPE_CHECKING:
    from docket.execution import Execution

#: The tools whose calls may be tasks.
TOOLS = frozenset(("ollama_agent", "ollama_batch", "ollama_create", "ollama_pull", "ollama_push"))
#: Tasks that one process works on at once.
AT_ONCE = 16
#: How long a worker may be silent before another takes up what it had.
SILENCE = timedelta(seconds=20)
#: How often a task is taken up again, so that one that kills its server does not kill all.
AGAIN = 2
#: For how long a task is kept, from its beginning and again from its end.
KEPT = timedelta(days=1)
#: After how long a client should ask again.
ASK_AGAIN = timedelta(seconds=2)
#: Seconds from a server's end until its work is stopped: the engine knows of the end by then, and
#: leaves the tasks to others.
LET_GO = 0.1
#: The name before all that is kept in a Valkey.
NAME = "ollama-mcp-server-tasks"

# With the package come tasks for every FastMCP client of this process. Those of agents stay as they
# are: to cancel the wait for a foreign server's task would not stop the task.
with suppress(AttributeError, ValueError):
    extension_hooks._internal_client_extension_factories.remove(
        fastmcp_tasks.client._build_tasks_client_extension
    )


class Tasks(fastmcp_tasks.TasksExtension):
    """The extension of the protocol that clients ask for."""

    def __init__(self, settings: Settings) -> None:
        """Keep tasks where the settings keep conversations, if that is a Valkey, else in memory."""
        url = valkey_of(settings)
        super().__init__(
            url=url or f"memory://{token_hex(8)}",  # servers of one process share no queue
            name=NAME,
            concurrency=AT_ONCE,
            redelivery_timeout=SILENCE,
            reconnection_delay=timedelta(seconds=1),
            minimum_check_interval=timedelta(milliseconds=200),
        )
        # It seals who called, with their headers, where others may read that.
        tasks_settings.encryption_key = settings.request_state_key if url else None
        self._at_work: set[asyncio.Task[Any]] = set()

    def offer(self, tool: Tool) -> Tool:
        """Return a tool as one whose calls may be tasks; as it is where they may not."""
        if tool.name not in TOOLS:
            return tool
        known = {name: getattr(tool, name) for name in Tool.model_fields}
        config = TaskConfig(mode="optional", poll_interval=ASK_AGAIN)
        return Tasked(**{**known, "task_config": config}, own=tool, again=self.again)

    async def intercept_tool_call(
        self,
        params: mcp_types.CallToolRequestParams,
        context: Context,
        call_next: Callable[[], Awaitable[Any]],
    ) -> Any:
        """Make every call: what is to be a task has not come this far (`Asked`)."""
        return await call_next()

    @asynccontextmanager
    async def lifespan(self) -> AsyncIterator[None]:
        """Work on tasks; at the end those under way are left to other workers, if there are any."""
        ending: asyncio.Task[None] | None = None
        try:
            async with super().lifespan():
                if (docket := self.server._docket) is not None:
                    docket.execution_ttl = KEPT
                # The key takes a second to be derived, which no call should wait for.
                deriving = asyncio.ensure_future(asyncio.to_thread(snapshot_codec))
                try:
                    yield
                finally:
                    await asyncio.wait([deriving])
                    ending = asyncio.create_task(self._let_go())
        finally:
            if ending is not None:
                await ending

    async def _let_go(self) -> None:
        """Stop the work: the engine would wait for its end, for hours if need be."""
        await asyncio.sleep(LET_GO)
        for task in self._at_work:
            task.cancel()

    async def again(self, tool: Tool, told: Told) -> ToolResult:
        """Make the call of a task, as its worker; what goes wrong is the result."""
        this = asyncio.current_task()
        assert this is not None  # noqa: S101 - for the type checker
        self._at_work.add(this)
        execution, lasts = current_execution.get(), self.docket_settings.redelivery_timeout
        try:
            if execution.redelivered:
                done = await outcome_elsewhere(execution, lasts)
                if isinstance(done, ToolResult):
                    return done
            await check(tool, execution)
            async with at_work(execution, lasts):
                return await made(self.server, tool.name, told)
        except OllamaMCPError as error:
            return failure(error)
        finally:
            self._at_work.discard(this)


async def check(tool: Tool, execution: Execution) -> None:
    """Let a task pass that may be worked on.

    Raises:
        Unauthorized: the caller's token has ended since.
        ToolFailed: a server has ended in mid-work, and the work may or should not be done again.
    """
    info = get_task_context()
    if info is not None and info.task_scope is not None and get_access_token() is None:
        raise Unauthorized(
            "the token of this call has ended before the work began", "Call again with a new one"
        )
    if not execution.redelivered:
        return
    if tool.annotations is None or not tool.annotations.idempotent_hint:
        raise ToolFailed(
            "the server that worked on this has ended, and what its tools did so far stands",
            "Look at what was done, and call again for the rest",
        )
    key = execution.docket.key(f"taken-up-again:{execution.key}")

    async def counted() -> int:
        async with execution.docket.redis() as redis:
            times = await redis.hincrby(key, "times", 1)
            await redis.expire(key, int(KEPT.total_seconds()))
            return int(times)

    if (times := await answered(counted)) > AGAIN:
        raise ToolFailed(
            f"{times} servers have ended while they worked on this",
            "Their logs say why; less at once may help",
        )


def valkey_of(settings: Settings) -> str | None:
    """Return the address of the Valkey or Redis that the settings name, as Redis's clients have it.

    None where they name none: tasks are kept in memory then.

    Raises:
        ValueError: it is no address.
    """
    url = address_of(settings.state_url.get_secret_value()) if settings.state_url else None
    if url is None:
        return None
    try:
        parse_url(url)
    except ValueError:  # its text may hold a part of the password
        raise ValueError("OLLAMA_MCP_STATE_URL is no valid address of a Valkey or Redis") from None
    return url
