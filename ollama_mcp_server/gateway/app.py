"""From an App to the whole of what is served over HTTP: the gateway's routes and the MCP endpoint.

Only here and in the modules of routes FastAPI is imported, and only where the gateway is on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from .. import __version__
from ..errors import InvalidArgument, NotFound, OllamaMCPError
from ..faults import place, sentence, words
from . import page
from .access.guard import guarded
from .access.keys import read_keys
from .access.scoped import Scoped
from .anthropic import routes as anthropic
from .errors import refusal
from .gate import Gate
from .observability import status
from .observability.metrics import Metrics
from .observability.prompts import Prompts
from .observability.requests import Seen
from .observability.watching import watching
from .ollama import routes as ollama
from .openai import routes as openai
from .plain import ask, tools
from .remainder import Remainder
from .traffic.departure import Departure
from .traffic.limits import Limits
from .traffic.shared import open_counters
from .traffic.wanted import Wanted

if TYPE_CHECKING:
    from fastmcp import FastMCP
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from ..app import App

#: Characters of a path that are repeated where there is none.
LONGEST = 200
#: The modules of routes, in the order in which they are asked.
ROUTES = (page, status, ask, tools, openai, anthropic, ollama)


def build_gateway(app: App, server: FastMCP[Any], mcp: Starlette) -> ASGIApp:
    """Return everything behind its guards.

    Args:
        app: whose models and tools are served.
        server: the MCP server, whose callers are held to what their keys allow.
        mcp: what serves it over HTTP.

    Raises:
        InvalidArgument: the keys cannot be read.
    """
    settings = app.settings
    keys = read_keys(settings)
    metrics = Metrics(settings.path)
    counters = open_counters(settings.state_url)
    limits = Limits(settings.parallel, settings.queue, watch=metrics, counters=counters)
    gate = Gate(app, limits, metrics, server)
    metrics.follow(app, gate.limits.line)
    server.add_middleware(Scoped(settings, gate.limits))
    made: ASGIApp = build_routes(gate, mcp)
    if settings.hosts:
        made = Wanted(made, settings.hosts)
    if settings.log_prompts:
        made = Prompts(made)
    kept = guarded(Departure(made, elsewhere=[settings.path]), settings, keys)
    return Seen(kept, metrics, settings.path)


def build_routes(gate: Gate, mcp: Starlette) -> FastAPI:
    """Return every route, the MCP endpoint last; nothing guards it."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with aclosing(gate.limits), mcp.router.lifespan_context(mcp), watching(gate):
            yield

    made = FastAPI(
        title="ollama-mcp-server",
        summary="Local models, with tools, for applications that speak no MCP.",
        version=__version__,
        lifespan=lifespan,
        redoc_url=None,
        # ours tell as much, without queries and the words of errors
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
    )
    made.add_exception_handler(OllamaMCPError, _refused)
    made.add_exception_handler(RequestValidationError, _invalid)
    made.add_exception_handler(HTTPException, _missing)
    routers = [module.router(gate) for module in ROUTES]
    for router in routers:
        made.include_router(router)
    known = [*made.routes, *(route for router in routers for route in router.routes)]
    made.mount("/", Remainder(mcp, known))
    return made


async def _refused(request: Request, error: Exception) -> Response:
    """Tell an error of ours in the route's dialect."""
    assert isinstance(error, OllamaMCPError)  # noqa: S101 - for the type checker
    return refusal(error, request.url.path)


async def _invalid(request: Request, error: Exception) -> Response:
    """Tell what is wrong with a request, without the values that it holds."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - for the type checker
    fault = error.errors()[0]
    where = tuple(step for step in fault["loc"] if step not in ("body", "query", "path", "header"))
    return refusal(InvalidArgument(sentence(place(where), words(fault))), request.url.path)


async def _missing(request: Request, error: Exception) -> Response:
    """Tell that there is no such route or method."""
    assert isinstance(error, HTTPException)  # noqa: S101 - for the type checker
    path = request.url.path[:LONGEST]
    told = NotFound(f"{request.method} {path!r} is not served here", "See /docs")
    response = refusal(told, request.url.path, **dict(error.headers or {}))
    response.status_code = error.status_code
    return response
