"""A server started as a client starts it, or called at its address, to see whether it answers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: Seconds for the answer: uvx may have to download the package first.
LIMIT = 120.0
#: What an error of the SDK's own says, which tells nobody anything.
_GROUP = "unhandled errors in a TaskGroup"
#: Characters that are told of what a server logged.
TOLD = 400


@dataclass(frozen=True)
class Answer:
    """What came of a trial."""

    #: Tools that it listed, and milliseconds from its start to the list.
    tools: int = 0
    ms: int = 0
    #: Why there was no answer.
    error: str | None = None


async def tried(
    command: Sequence[str], env: Mapping[str, str], folder: Path, limit: float = LIMIT
) -> Answer:
    """Start a command over stdio with these variables and few others, and list its tools."""
    from mcp import Client, StdioServerParameters
    from mcp.client.stdio import stdio_client

    program, *args = command
    start = StdioServerParameters(command=program, args=args, env=dict(env), cwd=folder)
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:
        client = Client(stdio_client(start, errlog=log))
        answer = await _asked(client, client.list_tools, limit)
        if answer.error is None:
            return answer
        log.seek(0)
        said = " ".join(log.read().split())[-TOLD:]
    return Answer(error=f"{answer.error}; it said: {said}" if said else answer.error)


async def reached(url: str, headers: Mapping[str, str], limit: float = LIMIT) -> Answer:
    """Call an address over Streamable HTTP with these headers, and list its tools."""
    from fastmcp import Client

    from ..agent.servers.streamable import HttpTransport

    try:
        transport = HttpTransport(url, headers)
    except ValueError:
        return Answer(error="it is no http address")
    client = Client(transport)
    answer = await _asked(client, client.list_tools_mcp, limit)
    if answer.error is not None and transport.status is not None:
        return Answer(error=f"it answered with HTTP {transport.status}")
    return answer


async def _asked(client: Any, list_tools: Callable[[], Awaitable[Any]], limit: float) -> Answer:
    """Connect, and list the tools of the server that a client is for."""
    from ..agent.servers.reasons import failure

    began = time.monotonic()
    answers: list[Answer] = []

    async def listed() -> None:
        async with client:
            tools = (await list_tools()).tools
            answers.append(Answer(len(tools), round((time.monotonic() - began) * 1000)))

    why = await failure(listed(), limit)
    if answers:
        return answers[0]
    return Answer(error="it ended" if not why or why.startswith(_GROUP) else why)
