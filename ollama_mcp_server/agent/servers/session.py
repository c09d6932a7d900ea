"""The SDK's session, as foreign servers need it.

Loaded when the first server is connected, for FastMCP's client is not cheap to import.
"""

from __future__ import annotations

from typing import Any

import anyio
import mcp_types
from mcp import ClientSession, MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_HANDSHAKE_VERSION

#: Seconds that a server has to say whether it speaks the protocol of 2026.
PROBE = 2.0


class Session(ClientSession):
    """The SDK's session, for servers that are older, stranger or slower than it likes."""

    async def send_discover(self, version: str) -> dict[str, Any]:
        """Ask whether the server speaks the newest protocol; silence means no."""
        with anyio.move_on_after(PROBE):
            return await super().send_discover(version)
        raise MCPError(code=mcp_types.REQUEST_TIMEOUT, message="server/discover was not answered")

    async def send_request(self, request: Any, result_type: Any, *args: Any, **kwargs: Any) -> Any:
        """Send a request; a version in the answer to `initialize` that nobody knows is ours."""
        result = await super().send_request(request, result_type, *args, **kwargs)
        if (
            isinstance(result, mcp_types.InitializeResult)
            and result.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS
        ):
            return result.model_copy(update={"protocol_version": LATEST_HANDSHAKE_VERSION})
        return result

    async def validate_tool_result(self, name: str, result: mcp_types.CallToolResult) -> None:
        """Take a result as it is: a model reads it, and a foreign schema's patterns may hang us."""
