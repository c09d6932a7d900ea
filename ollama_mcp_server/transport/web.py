"""What is served over HTTP: the MCP endpoint, the probes and the gateway, behind one guard."""

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any

from fastmcp import FastMCP
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..app import App
from ..gateway.access.guard import guarded
from ..gateway.access.keys import read_keys
from ..gateway.access.scoped import Scoped
from ..gateway.access.tokens import metadata
from ..gateway.observability.probes import readiness
from ..gateway.traffic.limits import Limits
from ..gateway.traffic.shared import open_counters
from .resuming import Past
from .sessions import set_up_sessions

#: Without the gateway there is no line in front of the daemon: only the keys' own limits hold.
NO_LINE = 100_000


def build_web(server: FastMCP[Any], app: App) -> Any:
    """Return the ASGI app: the MCP endpoint and the probes, behind Host, Origin, keys and tokens.

    With the gateway, also its routes. Sessions of the older era stay in one process, so that
    several processes serve that era without them.

    Raises:
        InvalidArgument: the keys cannot be read.
    """
    settings = app.settings

    @server.custom_route("/health", methods=["GET"])
    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    set_up_sessions()
    alone = settings.workers == 1
    ways: dict[str, Any] = {
        "path": settings.path,
        "stateless_http": not alone,
        "event_store": Past() if alone else None,
        "json_response": False,
        "host_origin_protection": False,  # the guard has it
    }
    if settings.gateway:
        from ..gateway.app import build_gateway

        endpoint = server.http_app(**ways)
        endpoint.router.routes[:0] = metadata(settings)
        return build_gateway(app, server, endpoint)
    server.custom_route("/ready", methods=["GET"])(readiness(app))
    limits = Limits(NO_LINE, NO_LINE, counters=open_counters(settings.state_url))
    server.add_middleware(Scoped(settings, limits))
    guard = Middleware(guarded, settings=settings, keys=read_keys(settings))
    web = server.http_app(**ways, middleware=[guard])
    web.router.routes[:0] = metadata(settings)
    inner = web.router.lifespan_context

    @asynccontextmanager
    async def lifespan(served: Any) -> AsyncIterator[Any]:
        async with aclosing(limits), inner(served) as state:
            yield state

    web.router.lifespan_context = lifespan
    return web
