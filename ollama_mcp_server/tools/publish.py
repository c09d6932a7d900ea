"""Let others have a model: copy it under the name of its registry, push it there."""

from typing import Annotated

from fastmcp import Context
from fastmcp.tools import ToolResult
from pydantic import Field

from ..app import App
from ..daemon.results import Done
from ..delegation.transfer import transfer
from ..tool import tool
from ._answers import given, moved_result, result
from ._arguments import Insecure, Timeout
from ._changes import library_changed
from ._hints import LONG, PUBLISHES, REPLACES


@tool(title="Copy a model", annotations=REPLACES, tags={"publish"}, returns=Done)
async def ollama_copy(
    ctx: Context,
    source: Annotated[str, Field(min_length=1, description="Installed model: qwen3:8b.")],
    destination: Annotated[str, Field(min_length=1, description="New name: me/qwen3:8b.")],
) -> ToolResult:
    """Give an installed model a second name.

    Use before ollama_push, whose model must be named after its registry or user; to change a
    model's prompt or parameters use ollama_create. Takes no disk: the weights are shared. A model
    that has the destination's name is replaced. Returns status success.
    """
    app = App.of(ctx)
    await app.client.request("POST", "/api/copy", {"source": source, "destination": destination})
    await library_changed(ctx, destination)
    return result(
        Done(model=destination, status="success", source=source),
        f"{source} is also {destination} now",
    )


@tool(
    title="Push a model to a registry",
    annotations=PUBLISHES,
    tags={"publish", LONG},
    returns=Done,
)
async def ollama_push(
    ctx: Context,
    model: Annotated[
        str,
        Field(min_length=1, description="Installed model, named after its registry: me/qwen3:8b."),
    ],
    insecure: Insecure = None,
    timeout: Timeout = None,
) -> ToolResult:
    """Upload a model to the registry that its name begins with, where others can get it.

    Use only when the user wants it published: what leaves this machine cannot be called back, and
    a model of that name there is replaced. Name it user/model first, with ollama_copy. Needs the
    network and, for ollama.com, a sign-in (an error gives the address); takes minutes, with
    progress, and stops when cancelled. Returns status success and bytes.
    """
    app = App.of(ctx)
    async with app.progress(ctx, f"pushing {model}") as progress:
        moved = await transfer(
            app.client,
            "/api/push",
            given(model=model, insecure=insecure),
            progress=progress,
            timeout_ms=timeout,
        )
    return moved_result(model, moved, f"{model} is published")
