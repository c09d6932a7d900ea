"""The decorator of our tools, and the schemas of a tool as they are published."""

from collections.abc import Callable
from typing import Any, TypeVar

import fastmcp.tools
from fastmcp.tools import FunctionTool, Tool
from mcp_types import ToolAnnotations
from pydantic import BaseModel

from .schemas import inlined, or_job, published, slimmed
from .tools._hints import LONG

#: The shape of what the functions answer. Its schema is made only where it is asked for.
_returns: dict[Callable[..., Any], type[BaseModel]] = {}
F = TypeVar("F", bound=Callable[..., Any])


def tool(
    *, title: str, annotations: ToolAnnotations, tags: set[str], returns: type[BaseModel] | None
) -> Callable[[F], F]:
    """Make a function a tool whose answers are of this shape, or our errors; None is any object."""
    decorate = fastmcp.tools.tool(
        title=title, annotations=annotations, tags=tags, output_schema={"type": "object"}
    )

    def mark(function: F) -> F:
        if returns is not None:
            _returns[function] = returns
        return decorate(function)

    return mark


def finished(tool: Tool) -> Tool:
    """Give a tool that FastMCP made of a function the schemas that are published."""
    tool.parameters = slimmed(inlined(tool.parameters))
    returns = _returns.get(tool.fn) if isinstance(tool, FunctionTool) else None
    if returns is not None:
        tool.output_schema = published(returns)
    if LONG in tool.tags:
        tool.output_schema = or_job(tool.output_schema or {"type": "object"})
    return tool
