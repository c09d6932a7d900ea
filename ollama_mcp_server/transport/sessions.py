"""The sessions of Streamable HTTP as the SDK has them, with what it leaves out.

Larger bodies, a past for each session, refusals that repeat nothing, and no traceback of a client
that leaves.
"""

from http import HTTPStatus
from typing import Any

import fastmcp.server.http as frame_http
import mcp.server.streamable_http_manager as sdk_sessions
from mcp.server.streamable_http import StreamableHTTPServerTransport
from mcp.server.transport_security import RequestBodyLimitMiddleware
from mcp_types import INVALID_REQUEST, PARSE_ERROR
from pydantic_core import from_json
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from .resuming import Past

#: Largest request body, in bytes: pictures as base64. FastMCP's own limit is 4 MiB.
MAX_BODY = 64 * 2**20
#: What is told of a body that is no message, or several; as the SDK does in the newer era.
NO_MESSAGE = "Body must be a single JSON-RPC request or notification object"
#: The answer to a body that is no JSON, as the SDK gives it.
TORN = {"jsonrpc": "2.0", "id": None, "error": {"code": PARSE_ERROR, "message": "Parse error"}}


def set_up_sessions() -> None:
    """Take bodies up to MAX_BODY, give each session its own past, and refuse in plain words.

    FastMCP has no setting for the SDK's limit. Its own way to part the sessions' events keeps
    back what is sent again until all of it is there.
    """
    sdk_sessions.StreamableHTTPServerTransport = Session  # type: ignore[attr-defined]
    manager = frame_http.FastMCPStreamableHTTPSessionManager
    if getattr(manager, "max_body", None) == MAX_BODY:
        return

    class Manager(manager):  # type: ignore[misc, valid-type]
        max_body = MAX_BODY

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            self.asgi_app = RequestBodyLimitMiddleware(self._handle_request, MAX_BODY)

        async def _handle_request(self, scope: Scope, receive: Receive, send: Send) -> None:
            try:
                body = await Request(scope, receive).body()
            except ClientDisconnect:  # nobody waits any more; the SDK would log a traceback
                return
            if is_torn(body):
                await JSONResponse(TORN, 400)(scope, receive, send)
                return
            await super()._handle_request(scope, again(body, receive), send)

        @property
        def event_store(self) -> Any:
            past = self._shared_event_store
            return past.session() if isinstance(past, Past) else past

        @event_store.setter
        def event_store(self, past: Any) -> None:
            self._shared_event_store = past

    frame_http.FastMCPStreamableHTTPSessionManager = Manager  # type: ignore[misc]


class Session(StreamableHTTPServerTransport):
    """A session of the older era, whose refusals do not repeat what was sent, as pydantic does."""

    def _create_error_response(
        self,
        error_message: str,
        status_code: HTTPStatus,
        error_code: int = INVALID_REQUEST,
        headers: dict[str, str] | None = None,
    ) -> Response:
        if error_message.startswith("Validation error:"):
            error_message, error_code = NO_MESSAGE, INVALID_REQUEST
        return super()._create_error_response(error_message, status_code, error_code, headers)


def is_torn(body: bytes) -> bool:
    """Return whether JSON holds half a character (a lone surrogate), which no answer could repeat.

    The SDK reads it in the newer era, and not in the older.
    """
    if b"\\ud" not in body and b"\\uD" not in body:
        return False
    try:
        from_json(body)
    except ValueError:
        return True
    return False


def again(body: bytes, receive: Receive) -> Receive:
    """Return what receives a body that has been read, and then what else comes."""
    given = iter([{"type": "http.request", "body": body, "more_body": False}])

    async def next_message() -> Message:
        return next(given, None) or await receive()

    return next_message
