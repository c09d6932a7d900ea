"""What is in memory."""

from fastmcp import Context
from fastmcp.resources import resource
from mcp_types import Annotations

from ..app import App
from ..daemon.inventory import running as look_what_runs
from ._json import JSON, text_of

#: Where it is.
RUNNING = "ollama://running"


@resource(
    RUNNING,
    name="running",
    title="Models in memory",
    mime_type=JSON,
    annotations=Annotations(priority=0.5),
)
async def running(ctx: Context) -> str:
    """Show the models loaded now, with memory, context and time of unloading: as ollama_ps."""
    app = App.of(ctx)
    return text_of(await look_what_runs(app.client, app.catalog))
