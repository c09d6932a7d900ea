"""Anthropic's API: messages, as the daemon's `/v1` has them, or with the tools of MCP servers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fastapi import APIRouter
from starlette.routing import Route

from ...daemon.wire import Part
from ...delegation import anthropic
from ..runs.aliased import Aliased
from ..runs.asked import Wanted, wanted
from ..runs.looped import Api, Looped
from .messages import Message

if TYPE_CHECKING:
    from ..gate import Gate

#: What one of the last events of a stream holds.
STOPPED = (b"event: message_stop", b"event: error")


def with_servers(request: Part) -> Wanted:
    """Return what a request says about MCP servers, which it may define in Anthropic's form."""
    named = anthropic.servers_of(request)
    return wanted(request if named is None else {**request, "mcp_servers": named})


MESSAGES = Api(anthropic.to_chat, lambda chat, _: Message(chat), STOPPED, with_servers)


def router(gate: Gate) -> APIRouter:
    """Return the routes."""
    return APIRouter(
        routes=[
            Route("/v1/messages", Looped(gate, MESSAGES)),
            Route("/v1/messages/count_tokens", Aliased(gate)),
        ]
    )
