"""What is served over HTTP: the MCP endpoint, the probes and the gateway, behind one guard."""

from typing import Any

import fastmcp.server.http as frame_http
from fastmcp import FastMCP
from mcp.server.transport_security import RequestBodyLimitMiddleware
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
from .resuming import Past

#: Largest request body, in bytes: pictures as base64. FastMCP's own limit is 4 MiB.
MAX_BODY = 64 * 2**20
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

    _set_up_sessions()
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
    server.add_middleware(Scoped(settings, Limits(NO_LINE, NO_LINE)))
    guard = Middleware(guarded, settings=settings, keys=read_keys(settings))
    web = server.http_app(**ways, middleware=[guard])
    web.router.routes[:0] = metadata(settings)
    return web


def _set_up_sessions() -> None:
    """Take bodies up to MAX_BODY, and give each session its own past.

    FastMCP has no setting for the SDK's limit. Its own way to part the sessions' events keeps
    back what is sent again until all of it is there.
    """
    manager = frame_http.FastMCPStreamableHTTPSessionManager
    if getattr(manager, "max_body", None) == MAX_BODY:
        return

    class Manager(manager):  # type: ignore[misc, valid-type]
        max_body = MAX_BODY

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.asgi_app = RequestBodyLimitMiddleware(self._handle_request, MAX_BODY)

        @property
        def event_store(self) -> Any:
            past = self._shared_event_store
            return past.session() if isinstance(past, Past) else past

        @event_store.setter
        def event_store(self, past: Any) -> None:
            self._shared_event_store = past

    frame_http.FastMCPStreamableHTTPSessionManager = Manager  # type: ignore[misc]
