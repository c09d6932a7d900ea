"""What no route of the gateway has: the MCP server's own paths, and what is not there at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

if TYPE_CHECKING:
    from starlette.applications import Starlette


class Remainder:
    """ASGI app: the MCP server where it has the path; else a refusal that names the methods."""

    def __init__(self, mcp: Starlette, routes: Sequence[BaseRoute]) -> None:
        """Come after these routes."""
        self._mcp = mcp
        self._before = routes
        #: Those of the MCP server, for who looks at all that there are.
        self.routes = mcp.routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that no route of the gateway took.

        Raises:
            HTTPException: 404, or 405 where another method is served.
        """
        if any(route.matches(scope)[0] is not Match.NONE for route in self.routes):
            await self._mcp(scope, receive, send)
            return
        allowed: set[str] = set()
        for route in self._before:
            match, _ = route.matches(scope)
            if match is Match.PARTIAL:
                allowed |= getattr(route, "methods", None) or set()
        if allowed:
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})
        raise HTTPException(404)
