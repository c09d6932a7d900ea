"""A small MCP server: `keeper.py FILE`; its tools read the file, remove it, or never answer."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import anyio
from fastmcp import FastMCP

file = Path(sys.argv[1])
server = FastMCP("keeper")


@server.tool(annotations={"readOnlyHint": True})
def look() -> str:
    """Read the file.

    All of it.
    """
    return file.read_text()


@server.tool(annotations={"destructiveHint": True, "readOnlyHint": False})
def remove() -> str:
    """Remove the file."""
    file.unlink()
    return "removed"


@server.tool(annotations={"readOnlyHint": True})
async def wait() -> None:
    """Write which process this is beside the file, and never answer."""
    file.with_name("pid").write_text(str(os.getpid()))
    await anyio.sleep_forever()


if __name__ == "__main__":
    server.run(show_banner=False)
