"""The one client: every request to the daemon goes through `stream` or `request`."""

import asyncio
import itertools
import logging
import os
import ssl
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio
import httpx

from ..address import Address
from ..errors import (
    START_IT,
    DaemonError,
    DaemonUnreachable,
    QueueFull,
    TimedOut,
    translated,
)
from ..settings import bare_environment
from .connections import Connections
from .replies import lines, parsed, refusal
from .starting import Starting, Way
from .wire import Part, encode, is_final

if TYPE_CHECKING:
    from .hosts.host import Host

with bare_environment():
    import ollama

logger = logging.getLogger(__name__)

#: Pauses in seconds before the tries that follow a 503; Retry-After replaces one, up to MAX_PAUSE.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)
MAX_PAUSE = 15.0
CONNECT_TIMEOUT = 5.0
#: Seconds that an answer in one piece may take, unless a model works on it.
PATIENCE = 30.0
WORKING = ("/api/chat", "/api/embed", "/api/generate")

#: Told what a request is waiting for, while it waits.
Waiting = Callable[[str], None]


class Client(ollama.AsyncClient):
    """Ollama's own client, mended: raw dicts both ways, nothing lost, every failure ours.

    Its typed methods drop fields that the daemon knows, read files named in `images` and end
    normally on a cut stream, so they are not used. No key goes to a loopback daemon, no proxy is
    taken for one, and no redirect is followed (a key must not travel on).
    """

    #: The hosts behind it, where there are several (`hosts.hosts`).
    hosts: "Sequence[Host]" = ()

    def __init__(
        self,
        address: Address,
        headers: Mapping[str, str],
        *,
        proxy: str | None = None,
        ca_file: Path | None = None,
        unreachable: str = START_IT,
        starting: Starting | None = None,
    ) -> None:
        """Make a client for `address`.

        Args:
            address: where the daemon is.
            headers: extra headers, their names in lower case.
            proxy: on the way to an address that is not loopback.
            ca_file: PEM file of the authority that signed the certificate.
            unreachable: what to do when nothing answers there.
            starting: what starts the daemon there, if something may; only for loopback.
        """
        self.address = address
        self._unreachable = unreachable
        if not address.is_loopback:
            self._unreachable += "; a proxy (OLLAMA_MCP_PROXY, HTTPS_PROXY) may stand between"
        with way_to(address, proxy, ca_file) as way:
            if starting is not None:
                way["transport"] = Way(starting, way["transport"])
            super().__init__(address.url, headers=dict(headers), **way)
        if "authorization" not in headers:
            # Its constructor takes OLLAMA_API_KEY from the environment for every host.
            self._client.headers.pop("authorization", None)

    async def aclose(self) -> None:
        """Close every connection; requests still under way end."""
        await self._client.aclose()

    async def request(
        self,
        method: str,
        path: str,
        body: Part | None = None,
        *,
        content: bytes | None = None,
        waiting: Waiting | None = None,
    ) -> Part:
        """Return the daemon's answer to a request that it answers in one piece; {} for no body.

        A full queue is waited for as by `stream`.

        Raises:
            TimedOut: it has not answered within PATIENCE, although no model works on it.
            OllamaMCPError: the daemon refused, or could not be reached.
        """
        for attempt in itertools.count(1):
            try:
                return await self._whole(method, path, body, content)
            except QueueFull as busy:
                await _wait_turn(busy, attempt, waiting)
        raise AssertionError  # pragma: no cover - the loop ends by return or raise

    async def _whole(
        self, method: str, path: str, body: Part | None, content: bytes | None
    ) -> Part:
        model = _model(body)
        sent = content if body is None else encode(body)
        with translated(self.address.url, self._unreachable), self._patience(path):
            async with self._client.stream(method, path, content=sent) as response:
                logger.debug("%s %s: %s", method, path, response.status_code)
                if response.status_code >= 300:
                    raise await refusal(response, model)
                told = await response.aread()
        return parsed(told, model) if told.strip() else {}

    @contextmanager
    def _patience(self, path: str) -> Iterator[None]:
        """Bound the time of a request that the daemon can answer by itself."""
        try:
            with anyio.fail_after(None if path in WORKING else PATIENCE):
                yield
        except TimeoutError as late:
            raise TimedOut(
                f"Ollama at {self.address.url} took a request, and did not answer within "
                f"{PATIENCE:g} s",
                "Call again; if it happens twice, restart Ollama, and look at its log",
            ) from late

    async def stream(
        self, path: str, body: Part, *, waiting: Waiting | None = None
    ) -> AsyncGenerator[Part, None]:
        """Yield the parts of a streamed answer; the last is the daemon's own final one.

        A daemon whose queue is full (503) is asked again within bounds, which `waiting` is told;
        nothing is asked again once a part has come. Closing the generator closes the request, and
        the daemon stops.

        Raises:
            OllamaMCPError: the daemon refused, failed in mid-stream, or its stream was cut.
        """
        for attempt in itertools.count(1):
            try:
                async with aclosing(self._parts(path, body)) as parts:
                    async for part in parts:
                        yield part
                return
            except QueueFull as busy:
                await _wait_turn(busy, attempt, waiting)

    async def _parts(self, path: str, body: Part) -> AsyncGenerator[Part, None]:
        model, part = _model(body), Part()
        with translated(self.address.url, self._unreachable):
            async with self._client.stream("POST", path, content=encode(body)) as response:
                logger.debug("POST %s: %s", path, response.status_code)
                if response.status_code >= 300:
                    raise await refusal(response, model)
                async for line in lines(response):
                    part = parsed(line, model)
                    yield part
        if not is_final(part):
            raise DaemonError(
                "the answer was cut: the stream ended before its final part",
                "Call again; the daemon's log may say why it stopped",
            )


async def _wait_turn(busy: QueueFull, attempt: int, waiting: Waiting | None) -> None:
    pause = pause_before(attempt, busy.details.get("retry_after"))
    if pause is None:
        raise busy
    if waiting:
        waiting(f"queued: the daemon is busy, asking again in {pause:g} s")
    await asyncio.sleep(pause)


def pause_before(attempt: int, retry_after: float | None) -> float | None:
    """Return the seconds to wait before try number `attempt` (1 is the first retry), or None."""
    if attempt > len(PAUSES) or (retry_after or 0) > MAX_PAUSE:
        return None
    return retry_after or PAUSES[attempt - 1]


@contextmanager
def way_to(address: Address, proxy: str | None, ca_file: Path | None) -> Iterator[dict[str, Any]]:
    """Give what an httpx client for `address` is made with.

    Raises:
        DaemonUnreachable: a SOCKS proxy of the environment stands between, and httpx has no
            package for it.
    """
    verify = tls_context(address, ca_file)
    try:
        yield {
            "auth": address.credentials,
            "proxy": None if address.is_loopback else proxy,
            "trust_env": not address.is_loopback,
            "verify": verify,
            "transport": Connections(verify) if address.is_loopback else None,
            "follow_redirects": False,
            "timeout": httpx.Timeout(None, connect=CONNECT_TIMEOUT),
            "limits": httpx.Limits(max_connections=None, max_keepalive_connections=20),
        }
    except ImportError as error:
        raise DaemonUnreachable(
            f"the way to {address.url} leads through a SOCKS proxy, for which a package is missing",
            "Start the server with `uvx --with socksio ollama-mcp-server`, or except the "
            "address in NO_PROXY",
        ) from error


def tls_context(address: Address, ca_file: Path | None) -> ssl.SSLContext | bool:
    """Return what httpx verifies with; making a context costs 20 ms, so none for plain http."""
    if ca_file:
        return ssl.create_default_context(cafile=os.fspath(ca_file))
    return address.url.startswith("https:")


def _model(body: Part | None) -> str:
    return str((body or {}).get("model") or (body or {}).get("source") or "")
