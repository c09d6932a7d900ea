"""What every route of the gateway has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from starlette.requests import Request

from ..app import App
from .access.caller import Caller
from .traffic.limits import Limits

if TYPE_CHECKING:
    from fastmcp import FastMCP

    from .observability.metrics import Metrics


@dataclass
class Gate:
    """What the routes share, made once with the gateway."""

    app: App
    limits: Limits
    metrics: Metrics
    #: The MCP server, whose own tools are routes too.
    server: FastMCP[Any]


def caller_of(request: Request) -> Caller:
    """Return who makes a request; the guard has let nobody in that it does not know."""
    caller = request.scope["state"]["caller"]
    assert isinstance(caller, Caller)  # noqa: S101 - for the type checker
    return caller
