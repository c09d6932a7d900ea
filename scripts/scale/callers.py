"""MCP clients of both eras, over HTTP, that call tools and note what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import httpx2
from fastmcp import Client
from fastmcp.client.transports import StreamableHttpTransport
from fastmcp.exceptions import FastMCPError
from mcp import MCPError
from mcp.shared.dispatcher import ProgressFnT

from .fates import Fate
from .traffic import PATIENCE

#: The era without sessions, and the last one with them.
NEW, OLD = "2026-07-28", "legacy"
#: What a client of FastMCP raises where the connection or the session is gone.
GONE = (MCPError, FastMCPError, httpx2.HTTPError, RuntimeError, OSError)


class Caller:
    """A client that connects again after a failure, as hosts do; it calls nothing twice."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        era: str,
        progress: ProgressFnT | None = None,
    ) -> None:
        self._transport = StreamableHttpTransport(
            f"{url}/mcp",
            headers=dict(headers),
            httpx_client_factory=self._http,  # type: ignore[arg-type]
        )
        self._era, self._progress = era, progress
        self._client: Client[Any] | None = None
        self._status = 0

    async def __aenter__(self) -> Caller:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leave()

    async def call(self, tool: str, **arguments: Any) -> tuple[Fate, str]:
        """Call a tool; a conversation's handle is noted, or what was wrong.

        A session that is gone is begun anew, and the call made again, which was refused for that.
        """
        try:
            return await self._call(tool, arguments)
        except GONE as error:
            was_refused = self._client is not None and self._status == 404
            begun, note = self._status == 200, f"{type(error).__name__}: {error}"
            await self._leave()
        if was_refused:
            return await self.call(tool, **arguments)
        return (Fate.CUT if begun else Fate.LOST), note[:160]

    async def _call(self, tool: str, arguments: Mapping[str, Any]) -> tuple[Fate, str]:
        if self._client is None:
            opened = Client(self._transport, mode=self._era, progress_handler=self._progress)
            await opened.__aenter__()  # type: ignore[no-untyped-call]
            self._client = opened
        self._status = 0
        said = await self._client.call_tool(tool, dict(arguments), raise_on_error=False)
        structured: dict[str, Any] = said.structured_content or {}
        if not said.is_error:
            return Fate.ANSWERED, str(structured.get("conversation") or "")
        error = structured.get("error") or {}
        if error.get("code") == "rate_limited":
            return Fate.REFUSED, ""
        clear = error.get("code") and error.get("message")
        return (Fate.TOLD if clear else Fate.LOST), str(error or said.content)[:300]

    async def _leave(self) -> None:
        leaving, self._client = self._client, None
        if leaving is not None:
            with suppress(*GONE):  # as the session, so its end
                await leaving.__aexit__(None, None, None)  # type: ignore[no-untyped-call]

    def _http(self, **given: Any) -> httpx2.AsyncClient:
        hooks = {"response": [self._see]}
        return httpx2.AsyncClient(
            **{"timeout": PATIENCE, **given}, trust_env=False, event_hooks=hooks
        )

    async def _see(self, response: httpx2.Response) -> None:
        self._status = response.status_code
