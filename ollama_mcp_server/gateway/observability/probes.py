"""Whether the server can do its work: `/ready`, with the gateway and without it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ...daemon.installed import only_looking
from ...errors import OllamaMCPError
from ..access.caller import Caller

if TYPE_CHECKING:
    from ...app import App

#: Seconds that the daemon has to tell that it is there.
PATIENCE = 5.0


def readiness(app: App) -> Callable[[Request], Awaitable[Response]]:
    """Return what answers `/ready`: whether the daemon is there, and which servers are down."""

    async def ready(request: Request) -> Response:
        caller, servers = request.scope["state"]["caller"], _down(app)
        if not (isinstance(caller, Caller) and caller.may("agent")):
            servers = [{**one, "error": None} for one in servers]  # it tells of this machine
        told: dict[str, Any] = {"status": "degraded" if servers else "ok"}
        code = 200
        try:
            with anyio.fail_after(PATIENCE), only_looking():
                told["ollama"] = (await app.client.request("GET", "/api/version")).get("version")
        except (OllamaMCPError, TimeoutError) as error:
            hint = error.hint if isinstance(error, OllamaMCPError) else ""
            told, code = {"status": "unavailable", "hint": hint}, 503
        if servers:
            told["servers_down"] = servers
        return JSONResponse(told, code)

    return ready


def _down(app: App) -> list[dict[str, str | None]]:
    if "hub" not in app.__dict__:  # nothing is imported for servers that nobody has used
        return []
    from .watching import down

    return down(app)
