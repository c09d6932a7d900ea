"""What HAProxy asks once more when a server dies on it, and what it must not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import anyio
import httpx

from scripts.testbed.listener import Listener
from scripts.testbed.processes import free_port

from . import balancer, callers
from .fates import Verdict

#: What HAProxy asks to see whether a server lives.
CHECKS = ("/health", "/api/version")
_ALIVE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"


@dataclass(frozen=True)
class Request:
    """A request that no server survives."""

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = '{"model": "m"}'

    @property
    def name(self) -> str:
        """How it is told."""
        return self.headers.get("Mcp-Name") or f"{self.method} {self.path}"


def called(tool: str, era: str = callers.NEW) -> Request:
    """Return a call of a tool."""
    headers = {"MCP-Protocol-Version": era, "Mcp-Method": "tools/call", "Mcp-Name": tool}
    return Request("POST", "/mcp", headers)


#: What only asks a model, or reads.
AGAIN = (
    Request("POST", "/v1/chat/completions"),
    Request("POST", "/v1/messages"),
    Request("POST", "/api/embed", body='{"input": "%s"}' % ("long " * 8000)),
    Request("GET", "/v1/models"),
    called("ollama_generate"),
)
#: What changes something, or lets tools of other servers do it.
ONCE = (
    Request("POST", "/v1/chat/completions", body='{"model": "m", "mcp_servers": ["git"]}'),
    Request("POST", "/api/chat", body='{"model": "m", "tools_path": "/srv"}'),
    Request("POST", "/api/ask"),
    Request("POST", "/api/do"),
    Request("POST", "/tools/git/git_commit"),
    Request("POST", "/api/create"),
    Request("DELETE", "/api/delete"),
    called("ollama_delete"),
    called("ollama_agent"),
    called("ollama_generate", "2025-11-25"),
)


class Dying(Listener):
    """A server that lives for HAProxy, and hangs up on every request, once it has read its head."""

    def __init__(self) -> None:
        super().__init__("127.0.0.1:1")  # nothing is behind
        self.asked = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer a check, or count and hang up."""
        head = await reader.readuntil(b"\r\n\r\n")
        if head.split(b" ", 2)[1].decode() in CHECKS:
            writer.write(_ALIVE)
            await writer.drain()
        else:
            self.asked += 1


def nothing_acts_twice(cache: Path) -> list[Verdict]:
    """Send each request to HAProxy before two servers that die of it; count how often they got it.

    Raises:
        SetupError: HAProxy cannot be had or does not start.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        servers = [stack.enter_context(Dying()) for _ in range(2)]
        places = [f"127.0.0.1:{one.port}" for one in servers]
        ports = free_port(), free_port()
        front = stack.enter_context(balancer.start(cache, folder, ports, places, places))
        front.until_all_up()
        again = [(one.name, anyio.run(_times, front.url, one, servers)) for one in AGAIN]
        once = [(one.name, anyio.run(_times, front.url, one, servers)) for one in ONCE]
    wrong = [f"{name} {times} times" for name, times in again if times < 2]
    wrong += [f"{name} {times} times" for name, times in once if times != 1]
    told = f"{len(AGAIN)} kinds of request asked again, {len(ONCE)} asked once"
    what = "a server dies of a request: another is asked if it asks a model or reads, else nobody"
    return [Verdict(what, not wrong, "; ".join(wrong) or told)]


async def _times(url: str, one: Request, servers: list[Dying]) -> int:
    before = sum(server.asked for server in servers)
    headers = {"Content-Type": "application/json", **one.headers}
    async with httpx.AsyncClient(trust_env=False, timeout=20) as http:
        body = one.body if one.method == "POST" else None
        with suppress(httpx.RemoteProtocolError):
            await http.request(one.method, url + one.path, headers=headers, content=body)
    return sum(server.asked for server in servers) - before
