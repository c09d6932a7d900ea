"""Talk to the server as any MCP client does: `make demo`, or `python scripts/demo.py`.

Starts `python -m ollama_mcp_server` over stdio, lists its tools, and has a local model answer one
question. $OLLAMA_HOST says which daemon; `python -m scripts.testbed up` prints one that has the
model. Another model is the first argument.
"""

from __future__ import annotations

import asyncio
import os
import sys

from fastmcp import Client
from fastmcp.client.transports import StdioTransport

MODEL = "testbed/chat:135m"
QUESTION = "What is the capital of France?"


async def show_progress(value: float, total: float | None, message: str | None) -> None:
    """Print one progress note of the server."""
    share = f"{value:.0f}" if total is None else f"{value:.0f} of {total:.0f}"
    print(f"  ... {message or 'working'} ({share})", flush=True)


async def main(model: str) -> None:
    """Ask the question and print what comes back."""
    settings = {name: value for name, value in os.environ.items() if name.startswith("OLLAMA_")}
    transport = StdioTransport(sys.executable, ["-m", "ollama_mcp_server"], env=settings)
    async with Client(transport, progress_handler=show_progress) as client:
        print("Tools:", ", ".join(tool.name for tool in await client.list_tools()))
        print(f"Asking {model}: {QUESTION}")
        question = {"role": "user", "content": QUESTION}
        result = await client.call_tool("ollama_chat", {"model": model, "messages": [question]})
    answer = result.structured_content or {}
    timings = (result.meta or {}).get("ollama/timings", {})
    print(f"Answer: {answer['content'].strip()}")
    print(
        f"{answer['usage']['completion_tokens']} tokens,"
        f" {timings.get('tokens_per_second', 0):.0f} tokens/s, ended by {answer['done_reason']}"
    )


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:2] or [MODEL]))
