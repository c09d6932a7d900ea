"""Streamable HTTP to a server.

Loaded when the first server is connected, for FastMCP's client is not cheap to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.client.transports.base import SessionKwargs, TransportOptions
from mcp.shared._httpx_utils import create_mcp_http_client
from typing_extensions import Unpack

from .session import Session


class HttpTransport(StreamableHttpTransport):
    """Streamable HTTP with our session; it keeps the status of the last refusal."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        super().__init__(url, headers=dict(headers), httpx_client_factory=self._client)
        self.status: int | None = None

    def connect_session(
        self,
        *,
        transport_options: TransportOptions | None = None,
        **session_kwargs: Unpack[SessionKwargs],
    ) -> Any:
        """Connect; the session is ended with the context."""
        options = replace(transport_options or TransportOptions(), session_class=Session)
        return super().connect_session(transport_options=options, **session_kwargs)

    def _client(self, headers: Any = None, timeout: Any = None, auth: Any = None, **_: Any) -> Any:
        async def look(response: Any) -> None:
            self.status = response.status_code if response.status_code >= 400 else None

        client = create_mcp_http_client(headers=headers, timeout=timeout, auth=auth)
        client.event_hooks["response"].append(look)
        return client
