"""The official Python SDK's own client, each era, each transport."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp_types import CallToolResult

from .conftest import Target
from .visit import JSON, check, plan

pytestmark = pytest.mark.live


@pytest.mark.parametrize("transport", ["stdio", "http"])
@pytest.mark.parametrize("era", ["2025-11-25", "2026-07-28"])
async def test_a_visit(target: Target, chat_model: str, era: str, tmp_path: Path) -> None:
    mode = "legacy" if era == "2025-11-25" else "auto"
    with (tmp_path / "stderr.txt").open("w") as log:
        way = target.get("url") or stdio_client(StdioServerParameters(**target), errlog=log)
        async with Client(way, mode=mode) as client:
            assert client.protocol_version == era
            report = await visit(client, plan(chat_model))
    check(report, chat_model)


async def visit(client: Client, calls: JSON) -> JSON:
    """Make the calls, as visit.mjs does."""

    async def call(name: str, **more: Any) -> JSON:
        result = await client.call_tool(*calls[name], **more)
        assert isinstance(result, CallToolResult), result
        return result.model_dump(mode="json", by_alias=True, exclude_none=True)

    notes: list[JSON] = []

    async def note(progress: float, total: float | None, message: str | None) -> None:
        notes.append({"progress": progress, "total": total, "message": message})

    report: JSON = {"tools": [tool.name for tool in (await client.list_tools()).tools]}
    report["list"] = await call("list")
    report["chat"] = await call("chat", progress_callback=note)
    report["progress"] = notes
    report["unknown_model"] = await call("unknown_model")
    report["bad_arguments"] = await call("bad_arguments")
    with pytest.raises(MCPError) as refused:
        await call("unknown_tool")
    report["unknown_tool"] = refused.value.error.model_dump()

    with anyio.CancelScope() as scope:

        async def stop(progress: float, total: float | None, message: str | None) -> None:
            if progress >= 1:  # the model has begun to answer
                scope.cancel()

        await call("long", progress_callback=stop)
    report["stopped"] = scope.cancelled_caught
    start = time.monotonic()
    report["after"] = await call("after")
    report["after_ms"] = round((time.monotonic() - start) * 1000)
    return report
