"""Which hosts and origins may come in, whoever they are."""

from __future__ import annotations

from collections.abc import Sequence

from fastmcp.server.http import HostOriginGuardMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...errors import PermissionDenied
from ..errors import refusal


class Door:
    """ASGI middleware: the Host must be ours, and an Origin ours, a loopback page's or a named one.

    FastMCP's rules, for every route and in the route's dialect. They hold whatever the method and
    the content type are: a page can send text/plain anywhere without asking first.
    """

    def __init__(self, app: ASGIApp, hosts: Sequence[str], origins: Sequence[str]) -> None:
        self.app = app
        self._hosts = tuple(hosts)
        self._origins = tuple(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an allowed request on; answer 421 or 403 to any other."""
        if scope["type"] != "http" or (status := await self._status(scope, receive)) is None:
            await self.app(scope, receive, send)
            return
        if status == 421:
            error = PermissionDenied(
                "this server does not go by the name that the Host header gives",
                "Add the name to OLLAMA_MCP_ALLOWED_HOSTS",
            )
        else:
            error = PermissionDenied(
                "pages of this origin may not call this server",
                "Add the origin to OLLAMA_MCP_ALLOWED_ORIGINS",
            )
        response = refusal(error, scope["path"])
        response.status_code = status
        await response(scope, receive, send)

    async def _status(self, scope: Scope, receive: Receive) -> int | None:
        """Return the status by which FastMCP refuses a request; None if it does not."""
        statuses: list[int] = []

        async def passed(scope: Scope, receive: Receive, send: Send) -> None:
            pass

        async def refused(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        judge = HostOriginGuardMiddleware(passed, self._hosts, self._origins, mode="strict")
        await judge(scope, receive, refused)
        return statuses[0] if statuses else None
