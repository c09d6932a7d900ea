"""The tools of the configured MCP servers, called by their names, within what is allowed."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import mcp_types

from ...agent.agent import folder
from ...agent.calls.reading import mend
from ...agent.definitions import rules
from ...agent.definitions.configuration import configured
from ...agent.guard import bounds
from ...errors import InvalidArgument, PermissionDenied, ServerDown
from .outcomes import body_of, tool_failed
from .own import missing

if TYPE_CHECKING:
    from ...agent.definitions.documents import Definition
    from ...agent.servers.lease import Lease, Status
    from ...app import App

#: Seconds that a list of tools waits for a server; Open WebUI gives up after 10.
LOOK = 8.0

ALLOW = (
    'Say "allow_destructive": true to POST /api/do, or let all calls do so with '
    "OLLAMA_MCP_ALLOW_DESTRUCTIVE=1"
)


class Foreign:
    """The configured servers, each leased for one call or one look."""

    def __init__(self, app: App, *, look: float = LOOK) -> None:
        """Use the servers of an app; a look at one waits for it `look` s."""
        self._app = app
        self._look = look

    async def definitions(self) -> list[Definition]:
        """Return the servers as they are configured now; raises InvalidArgument if that is broken.

        The file is read each time, so that a changed one counts at once.
        """
        return await anyio.to_thread.run_sync(configured, self._app.settings)

    async def definition(self, name: str) -> Definition:
        """Return a server's definition; raises NotFound."""
        return rules.named([name], await self.definitions())[0]

    async def tools(self, definition: Definition) -> tuple[list[mcp_types.Tool], str]:
        """Return the tools that may be used, and why there are none if the server is not up.

        It is started if need be; one that is not up in time goes on starting.
        """
        with anyio.move_on_after(self._look):
            async with self._app.hub.lease([definition], self._path(definition, None)) as lease:
                if lease.down:
                    return [], str(down(lease.down[0]).message)
                every = lease.tools[definition.name]
                first = {tool.name: tool for tool in reversed(every)}
                known = dict.fromkeys(tool.name for tool in every)
                return [
                    first[name] for name in known if not self._fault(definition, first[name])
                ], ""
        return [], f"the MCP server {definition.name} is still starting"

    async def call(
        self,
        server: str,
        tool: str,
        arguments: dict[str, Any],
        *,
        path: str | None = None,
        allow_destructive: bool = False,
    ) -> Any:
        """Call a tool and return what it answered.

        Args:
            server: the server's name.
            tool: the tool's name.
            arguments: mended where that is certain, and checked by the tool's schema.
            path: the folder that the call is about; the first that is allowed, for a server that
                needs one.
            allow_destructive: make the call even if it may destroy something.

        Raises:
            NotFound: there is no such server or tool.
            InvalidArgument: the arguments do not fit.
            PermissionDenied: the call is not allowed.
            ServerDown: the server cannot be used.
            TimedOut: it gave no answer in time.
            ToolFailed: the tool failed, or the server ended.
        """
        settings = self._app.settings
        definition = await self.definition(server)
        where = self._path(definition, path)
        async with self._app.hub.lease([definition], where) as lease:
            found = self._found(lease, definition, tool)
            given, wrong = await anyio.to_thread.run_sync(mend, arguments, found.input_schema)
            if wrong:
                raise InvalidArgument(f"wrong arguments for {server}:{tool}: {'; '.join(wrong)}")
            folders = bounds.folders(where, settings.roots)
            bounds.check_call(definition, found, given, where, folders)
            allowed = allow_destructive or settings.allow_destructive
            if bounds.needs_consent(found, allowed=allowed, tainted=False):
                raise PermissionDenied(f"{server}:{tool} may destroy something", ALLOW)
            seconds = (definition.timeout or settings.tool_timeout) / 1000
            result = await lease.call(server, tool, given, seconds)
        if result.is_error:
            raise tool_failed(result, f"{server}:{tool}")
        return body_of(result)

    def _path(self, definition: Definition, path: str | None) -> Path | None:
        """Return the folder that a server works in; raises as `folder` does."""
        roots = self._app.settings.roots
        if path is None and definition.requires_path and roots:
            return roots[0].resolve()
        return folder(Path(path) if path is not None else None, roots)

    def _found(self, lease: Lease, definition: Definition, name: str) -> mcp_types.Tool:
        """Return a tool that may be used."""
        if lease.down:
            raise down(lease.down[0])
        tools = lease.tools[definition.name]
        found = next((tool for tool in tools if tool.name == name), None)
        if found is None:
            names = [tool.name for tool in tools if not self._fault(definition, tool)]
            raise missing(f"the MCP server {definition.name} has no tool {name[:100]}", name, names)
        if fault := self._fault(definition, found):
            raise PermissionDenied(f"{definition.name}:{name} may not be used", fault)
        return found

    def _fault(self, definition: Definition, tool: mcp_types.Tool) -> str:
        """Return why a tool is not offered at all; "" if it is."""
        if not bounds.offers(definition, tool.name):
            return f"The lists allow and deny of {definition.name} leave it out"
        if self._app.settings.read_only and bounds.destroys(tool):
            return "It may destroy something, and this server is read-only (OLLAMA_MCP_READ_ONLY)"
        return ""


def down(status: Status) -> ServerDown:
    """Return the error for a server that cannot be used: its name, since when, and why."""
    since = datetime.fromtimestamp(status.since, timezone.utc).isoformat(timespec="seconds")
    return ServerDown(
        f"the MCP server {status.name} is down since {since}: {status.error or 'it has ended'}",
        "It is started again with the next call; start it by hand to see what it says",
        server=status.name,
        since=since,
        reason=status.error,
    )
