"""A call that is a task: what is written down of it, and how a worker makes it again."""

from __future__ import annotations

import asyncio
import base64
import pickle
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack, suppress
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import mcp_types
from docket.dependencies import current_execution
from fastmcp import Context, FastMCP
from fastmcp.server.dependencies import get_context, get_http_request
from fastmcp.server.http import set_http_request
from fastmcp.tools import Tool, ToolResult
from fastmcp_tasks.context import get_task_context
from fastmcp_tasks.input_store import load_pending_input
from pydantic import Field
from redis.exceptions import RedisError
from starlette.requests import Request

from ..delegation.jobs import Job, current
from ..tools._confirm import by_task, can_ask
from .sign import answered

if TYPE_CHECKING:
    from docket.execution import Execution

#: What is written down of a call.
Told = Mapping[str, Any]

#: Seconds between two notes of a task's progress, and between two looks whether there are any.
APART, LOOK = 1.0, 0.1

#: Whether the code belongs to a call that is being made, for a client or by a worker.
inside: ContextVar[bool] = ContextVar("inside a call", default=False)
#: What the user has answered to the question with which the task was left, and its state.
_answer: ContextVar[tuple[str | None, mcp_types.InputResponses | None]] = ContextVar("answer")


class Tasked(Tool):
    """A tool whose calls may be tasks; of such a one its worker is given what was told of it."""

    own: Tool = Field(exclude=True)
    again: Callable[[Tool, Told], Awaitable[ToolResult]] = Field(exclude=True)

    def to_mcp_tool(self, **overrides: Any) -> mcp_types.Tool:
        """Return what is published: that of the tool, for the older era knows other tasks."""
        return self.own.to_mcp_tool(**overrides)

    async def run(self, arguments: dict[str, Any]) -> ToolResult:
        """Run the tool; as a worker's first step, make the whole call."""
        is_task = get_task_context() is not None
        if is_task and not inside.get():
            return await self.again(self.own, arguments)
        if is_task:  # the context of the call knows nothing of the task's
            ctx = get_context()
            ctx._task_request_state, ctx._task_input_responses = _answer.get()
        return await self.own.run(arguments)


def told(arguments: dict[str, Any], ctx: Context) -> dict[str, Any]:
    """Return what is written down of a call: its arguments, and what is known of its caller."""
    try:
        caller = get_http_request().scope.get("state", {}).get("caller")
    except RuntimeError:  # it did not come over HTTP
        kept = None
    else:
        kept = base64.b64encode(pickle.dumps(caller)).decode()
    return {"arguments": arguments, "caller": kept, "can_ask": can_ask(ctx)}


async def made(server: FastMCP[Any], tool: str, told: Told) -> ToolResult:
    """Make the call of a task, in its worker; the engine learns how far it is."""
    execution, info = current_execution.get(), get_task_context()
    assert info is not None  # noqa: S101 - for the type checker
    job = Job(tool, "")
    telling = asyncio.create_task(_tell(job, execution))
    with ExitStack() as stack:
        stack.callback(telling.cancel)
        if told["caller"]:
            stack.enter_context(set_http_request(_request_of(told["caller"])))
        where = execution.docket, info.task_scope, info.task_id
        _answer.set(await answered(lambda: load_pending_input(*where)))
        by_task.set(told["can_ask"])
        inside.set(True)
        current.set(job)
        return await server.call_tool(tool, dict(told["arguments"]))


async def _tell(job: Job, execution: Execution) -> None:
    """Let the engine know how far the work is, about once a second."""
    last = 0.0

    async def report(_: float, __: float | None, message: str) -> None:
        nonlocal last
        if (now := time.monotonic()) - last >= APART:
            last = now
            with suppress(RedisError, OSError):  # the work goes on without
                await execution.progress.set_message(message)

    while job.progress is None:  # noqa: ASYNC110 - a job has it as soon as it begins
        await asyncio.sleep(LOOK)
    job.progress.attach(report)


def _request_of(caller: str) -> Request:
    """Return a request that says who calls, and nothing else."""
    known = pickle.loads(base64.b64decode(caller))  # noqa: S301 - from where the engine has pickles
    return Request({"type": "http", "headers": [], "state": {"caller": known}})
