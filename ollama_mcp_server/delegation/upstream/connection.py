"""The connection to an OpenAI-compatible endpoint: the only place that knows its HTTP."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from ...address import Address
from ...daemon.wire import Part
from ...errors import DaemonError, OllamaMCPError, QueueFull, RateLimited, Unauthorized, translated
from .events import events
from .refusals import ADDRESS, KEY, refused

if TYPE_CHECKING:
    import httpx

#: What to do when nothing answers.
RUNS = "Check OLLAMA_MCP_OPENAI_BASE_URL, and that the endpoint runs"
#: The data of a stream's last event.
DONE = "[DONE]"
#: Most bytes of an answer that is no stream.
MAX_WHOLE = 16 * 2**20
#: Seconds that a stream may take to end once all was said, so that its connection can be kept.
DRAIN = 0.5


class Connection:
    """Requests to one endpoint, which its key goes to and nobody else: redirects are not followed.

    No proxy is taken for a loopback address. The key is taken out of what comes back, so that it
    stands in no error.
    """

    def __init__(
        self, address: Address, key: str, proxy: str | None = None, ca_file: Path | None = None
    ) -> None:
        self.address = address
        self._key = key
        self._proxy, self._ca_file = proxy, ca_file
        self._opened: httpx.AsyncClient | None = None

    async def get(self, path: str) -> str:
        """Return the body that a path answers with.

        Raises:
            OllamaMCPError: the endpoint refused, or could not be reached.
        """
        client = self._client()
        with translated(self.address.url, RUNS):
            async with client.stream("GET", path) as response:
                body = await self._text(response)
        if response.status_code >= 300:
            raise refused(response.status_code, body, headers=response.headers)
        return body

    async def stream(
        self, request: Part, waiting: Callable[[str], None]
    ) -> AsyncGenerator[str, None]:
        """Yield the data of each event that answers a request, or the whole of another answer.

        A busy endpoint is asked again within bounds, which `waiting` is told; nothing is asked
        again once data has come. Closing the generator closes the request.

        Raises:
            OllamaMCPError: the endpoint refused, could not be reached, or the connection broke.
        """
        with translated(self.address.url, RUNS):
            response = await self._answering(request, waiting)
            try:
                if re.search("json|html", response.headers.get("content-type", "")):
                    yield await self._text(response)
                    return
                chunks = response.aiter_bytes()
                async with aclosing(events(chunks)) as found:
                    async for data in found:
                        if data.strip():
                            yield self._safe(data.strip())
                        if data.strip() == DONE:
                            break
                await _drain(chunks)
            finally:
                await response.aclose()

    async def aclose(self) -> None:
        """Close every connection; requests still under way end."""
        if self._opened is not None:
            await self._opened.aclose()

    async def _answering(self, request: Part, waiting: Callable[[str], None]) -> httpx.Response:
        """Return the response to a request, once the endpoint takes it."""
        from ...daemon.client import pause_before
        from ...daemon.wire import encode

        client, attempt = self._client(), 1
        while True:
            sent = client.build_request("POST", "/chat/completions", content=encode(request))
            response = await client.send(sent, stream=True)
            if response.status_code < 300:
                return response
            error = await self._refusal(response, str(request["model"]))
            pause = None
            if _may_pass(error, attempt):
                pause = pause_before(attempt, error.details.get("retry_after"))
            if pause is None:
                raise error
            waiting(f"the endpoint is busy, asking again in {pause:g} s")
            await asyncio.sleep(pause)
            attempt += 1

    async def _refusal(self, response: httpx.Response, model: str) -> OllamaMCPError:
        try:
            body = await self._text(response)
        finally:
            await response.aclose()
        return refused(response.status_code, body, model=model, headers=response.headers)

    async def _text(self, response: httpx.Response) -> str:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > MAX_WHOLE:
                raise DaemonError("the endpoint's answer has no end", ADDRESS)
        return self._safe(body.decode(errors="replace"))

    def _safe(self, text: str) -> str:
        return text.replace(self._key, "…") if self._key else text

    def _client(self) -> httpx.AsyncClient:
        """Return the client for this address, made at its first use."""
        if self._opened is None:
            import httpx

            from ...daemon.client import way_to

            headers = {"accept-encoding": "identity", "content-type": "application/json"}
            if self._key:
                if not (self._key.isascii() and self._key.isprintable()):
                    raise Unauthorized("the endpoint's key holds what no key can", KEY)
                headers["authorization"] = f"Bearer {self._key}"
            with way_to(self.address, self._proxy, self._ca_file) as way:
                if self._key:
                    way["auth"] = None  # user and password of the address would replace it
                self._opened = httpx.AsyncClient(base_url=self.address.url, headers=headers, **way)
        return self._opened


def _may_pass(error: OllamaMCPError, attempt: int) -> bool:
    """Return whether to ask again: a busy endpoint, and once where it tells how long to wait."""
    told = isinstance(error, RateLimited) and bool(error.details.get("retry_after"))
    return isinstance(error, QueueFull) or (told and attempt == 1)


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read what follows the end of an answer; nothing of it matters."""
    import httpx

    with anyio.move_on_after(DRAIN), suppress(httpx.TransportError):
        async for _ in chunks:
            pass
