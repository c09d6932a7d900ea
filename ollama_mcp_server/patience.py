"""Calls that outlast their host's patience: answered in time, while the work goes on as a job."""

from collections.abc import Collection

import mcp_types
from fastmcp import Context
from fastmcp.server.middleware import CallNext, Middleware, MiddlewareContext
from fastmcp.tools import ToolResult

from .app import App
from .delegation.jobs import Job, current
from .errors import RateLimited
from .middleware import failure
from .tools._jobs import state_of

#: Seconds that a client waits for an answer at least, where it is not known.
PATIENCE = 50.0
#: Seconds that a client is known to wait, by the beginning of the name that it gives; less than
#: it really waits, so that the answer is there in time.
KNOWN = {
    "claude-code": 240.0,  # its idle limit is 300 s
    "claude-ai": 200.0,  # Claude Desktop, which gives up after 4 minutes
    "gemini-cli": 240.0,
    "Visual Studio Code": 240.0,
}


class LongCalls(Middleware):
    """The middleware around those tools that can take long."""

    def __init__(self, app: App, tools: Collection[str]) -> None:
        """Surround the calls of `app` to `tools`, given by name."""
        self.app = app
        self.tools = tools

    async def on_call_tool(
        self,
        context: MiddlewareContext[mcp_types.CallToolRequestParams],
        call_next: CallNext[mcp_types.CallToolRequestParams, ToolResult],
    ) -> ToolResult:
        """Run the call; if it takes long, answer with what there is and a job's handle."""
        name, ctx = context.message.name, context.fastmcp_context
        if name not in self.tools or ctx is None or current.get() is not None:  # is one already
            return await call_next(context)
        wait = self.app.settings.wait or patience(client_name(ctx))
        try:
            outcome = await self.app.jobs.run(
                name, self.app.owner(ctx), lambda: call_next(context), wait
            )
        except RateLimited as error:
            return failure(error)
        if isinstance(outcome, Job):
            return state_of(outcome, text=True)
        assert isinstance(outcome, ToolResult)  # noqa: S101 - for the type checker
        return outcome


def patience(client: str) -> float:
    """Return the seconds after which a client must have an answer."""
    return next((wait for name, wait in KNOWN.items() if client.startswith(name)), PATIENCE)


def client_name(ctx: Context) -> str:
    """Return the name that a client gives itself, "" if it gives none."""
    params = ctx.session.client_params
    return params.client_info.name if params is not None and params.client_info else ""
