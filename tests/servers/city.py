"""A small MCP server: `city.py TOKEN [WAY [FILE]]`; the way is what asking for the weather does.

dies: ends the process. floods: fills its output. litters: writes what is no JSON-RPC, and answers.
beats: touches the file again and again, and answers when it is gone.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import anyio
from fastmcp import FastMCP

READS = {"readOnlyHint": True}
token, way, file, *_ = *sys.argv[1:], "", ""
#: The pipe to the client, which the server guards from what is merely printed.
pipe = os.dup(1)
server = FastMCP("city")


@server.tool(annotations=READS)
async def get_weather(city: str) -> str:
    """The weather of a city."""
    if way == "dies":
        os._exit(7)
    while way == "floods":
        os.write(pipe, b"y\n" * 32768)
    if way == "litters":
        os.write(pipe, b'Asking the sky...\n\xff\xfe\n{"not": "rpc"}\n{broken\nnull\n')
    if way == "beats":
        await beat(anyio.Path(file))
    return f"It rains {token} in {city}."


@server.tool(annotations=READS)
def get_time() -> str:
    """The time now."""
    return f"It is 12:34 and {token}."


@server.tool(annotations=READS)
def add(a: int, b: int) -> str:
    """Add two numbers."""
    return f"{a} and {b} make {a + b}, says {token}."


async def beat(file: anyio.Path) -> None:
    await file.touch()
    with suppress(FileNotFoundError):
        while True:
            os.utime(file)
            await anyio.sleep(0.02)


if __name__ == "__main__":
    server.run(show_banner=False)
