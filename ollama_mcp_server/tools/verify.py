"""Find out whether a model calls tools well."""

from typing import Annotated

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import Field

from ..agent.results import Verified, verified
from ..app import App
from ..tool import tool
from ._answers import result
from ._arguments import HIDDEN, Model
from ._hints import ASKS, LONG


@tool(
    title="Try a model's tool calling",
    annotations=ASKS,
    tags={"agent", LONG},
    returns=Verified,
)
async def ollama_verify_tools(
    ctx: Context,
    model: Model,
    again: Annotated[
        bool,
        Field(description="true tries it anew; results are kept.", json_schema_extra=HIDDEN),
    ] = False,
) -> ToolResult:
    """Try whether a model calls tools well, with six small tasks.

    Use before ollama_agent with a model that you do not know. Takes a dozen short answers, once
    for each model. Returns what it did with each task, and the mode it is asked in.
    """
    app = App.of(ctx)
    async with app.progress(ctx, "choosing a model") as progress:
        said = verified(await app.agent.verify(model, progress, again=again))
    counts = ", ".join(f"{mode} {number} of {said.of}" for mode, number in said.passed.items())
    lines = [f"{said.model} passed: {counts}. ollama_agent asks it in the mode {said.mode}."]
    for row in said.tasks:
        for mode in said.passed:
            lines.append(f"- {row.task}, {mode}: {getattr(row, mode)}")
    return result(said, "\n".join(lines))
