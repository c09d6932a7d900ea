"""Other MCP servers, whose tools agents use."""

from datetime import datetime, timezone
from typing import Any

import anyio
from fastmcp import Context
from fastmcp.resources import resource
from mcp_types import Annotations
from pydantic import Field

from ..app import App
from ..daemon.results import Result
from ._json import JSON, text_of

#: Where it is.
SERVERS = "ollama://servers"


class Server(Result):
    """One server, as it is configured and as it is."""

    name: str
    description: str | None = None
    source: str = Field(description="Where it is configured.")
    enabled: bool = Field(description="Whether a call that names no server uses it.")
    why: str
    state: str | None = Field(None, description="up, down or idle, once it was used.")
    since: str | None = None
    error: str | None = None
    tools: list[str] | None = None


class Servers(Result):
    """All of them."""

    servers: list[Server]


@resource(
    SERVERS,
    name="servers",
    title="MCP servers for agents",
    mime_type=JSON,
    annotations=Annotations(priority=0.5),
)
async def servers(ctx: Context) -> str:
    """Show the MCP servers whose tools ollama_agent can use, which are enabled, and how they are.

    Tools are listed once a server was used; nothing is started to show them.
    """
    return text_of(Servers(servers=await survey(App.of(ctx))))


async def survey(app: App) -> list[Server]:
    """Return the configured servers with their state, without starting any."""
    from ..agent.definitions.configuration import judged

    verdicts = await anyio.to_thread.run_sync(judged, app.settings, None)
    states: dict[str, Any] = {status.name: status for status in app.hub.statuses()}
    found = []
    for verdict in verdicts:
        definition, status = verdict.definition, states.get(verdict.definition.name)
        found.append(
            Server(
                name=definition.name,
                description=definition.description or None,
                source=definition.source,
                enabled=verdict.enabled,
                why=verdict.why,
                state=status and status.state,
                since=status and when(status.since),
                error=status and status.error,
                tools=status and (status.tools or None),
            )
        )
    return found


def when(seconds: float) -> str:
    """Return a time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="seconds")
