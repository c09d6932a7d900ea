"""What came of a call, as text that another process can read."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from ...errors import OllamaMCPError

if TYPE_CHECKING:
    from fastmcp.tools import ToolResult


def as_text(task: asyncio.Task[Any]) -> str:
    """Return what came of a call that has ended, and was not cancelled."""
    error = task.exception()
    return written(failed(error) if error is not None else task.result())


def failed(error: BaseException) -> ToolResult:
    """Return what a call has raised as its result; only our own errors are told in words."""
    from fastmcp.tools import ToolResult

    if not isinstance(error, OllamaMCPError):
        error = OllamaMCPError(
            f"the call failed inside its server ({type(error).__name__})",
            "The log of that server (stderr) has the details",
        )
    return ToolResult(
        content=str(error), structured_content={"error": error.as_dict()}, is_error=True
    )


def written(result: ToolResult) -> str:
    """Return a result as text."""
    return json.dumps(
        {
            "content": [
                block.model_dump(mode="json", by_alias=True, exclude_none=True)
                for block in result.content
            ],
            "structured_content": result.structured_content,
            "meta": result.meta,
            "is_error": result.is_error,
        }
    )


def read(text: str) -> ToolResult:
    """Return the result that `written` gave."""
    from fastmcp.tools import ToolResult
    from mcp_types import ContentBlock
    from pydantic import TypeAdapter

    said = json.loads(text)
    blocks = TypeAdapter(list[ContentBlock]).validate_python(said["content"])
    return ToolResult(
        content=blocks,
        structured_content=said["structured_content"],
        meta=said["meta"],
        is_error=said["is_error"],
    )
