"""A server started as a client starts it, to see whether it answers."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

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

    from ..agent.servers.reasons import failure

    program, *args = command
    start = StdioServerParameters(command=program, args=args, env=dict(env), cwd=folder)
    began = time.monotonic()
    answers: list[Answer] = []
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as log:

        async def listed() -> None:
            async with Client(stdio_client(start, errlog=log)) as client:
                tools = (await client.list_tools()).tools
                answers.append(Answer(len(tools), round((time.monotonic() - began) * 1000)))

        why = await failure(listed(), limit)
        if answers:
            return answers[0]
        if why and why.startswith(_GROUP):
            why = "it ended"
        log.seek(0)
        said = " ".join(log.read().split())[-TOLD:]
    return Answer(error=f"{why}; it said: {said}" if said else why)
