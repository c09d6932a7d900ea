"""Our tools and prompts, made with the definitions that are kept beside them as data.

To derive descriptions and schemas from the functions takes a tenth of a start. So the folder
`definitions/` beside the modules has each tool and prompt as a host sees it by default.
`make schemas` writes them, and tests hold that they are what the functions say.
"""

import json
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from fastmcp.tools import FunctionTool
from fastmcp.utilities.components import FastMCPComponent

try:
    from fastmcp.decorators import get_fastmcp_meta
    from fastmcp.prompts.base import PromptArgument
    from fastmcp.prompts.function_prompt import FunctionPrompt, PromptMeta
    from fastmcp.server.dependencies import (
        transform_context_annotations,
        without_injected_parameters,
    )
    from fastmcp.tools.function_tool import ToolMeta
except ImportError:  # a later FastMCP keeps them elsewhere: then it derives all of it itself
    IS_KNOWN = False
else:
    IS_KNOWN = True

Function = Callable[..., Any]


def kept(module: ModuleType) -> list[FastMCPComponent]:
    """Return the tools and prompts of a module of ours; none where one lacks its definition."""
    if not IS_KNOWN or module.__name__.partition(".")[0] != __package__:
        return []
    folder = Path(module.__file__ or "").with_name("definitions")
    components = []
    for function in vars(module).values():
        if not isinstance(function, FunctionType) or function.__module__ != module.__name__:
            continue
        if (meta := get_fastmcp_meta(function)) is None:
            continue
        name = meta.name or function.__name__
        try:
            definition = json.loads((folder / f"{name}.json").read_text("utf-8"))
        except FileNotFoundError:
            return []
        if isinstance(meta, ToolMeta):
            components.append(_tool(function, meta, name, definition))
        elif isinstance(meta, PromptMeta):
            components.append(_prompt(function, meta, name, definition))
        else:
            return []
    return components


def _tool(function: Function, meta: "ToolMeta", name: str, definition: dict[str, Any]) -> Any:
    return FunctionTool(
        fn=transform_context_annotations(function),
        name=name,
        title=meta.title,
        description=definition["description"],
        parameters=definition["inputSchema"],
        output_schema=definition["outputSchema"],
        annotations=meta.annotations,
        tags=meta.tags or set(),
    )


def _prompt(function: Function, meta: "PromptMeta", name: str, definition: dict[str, Any]) -> Any:
    return FunctionPrompt(
        fn=without_injected_parameters(transform_context_annotations(function)),
        name=name,
        title=meta.title,
        description=definition["description"],
        arguments=[PromptArgument(**argument) for argument in definition["arguments"]],
        tags=meta.tags or set(),
    )
