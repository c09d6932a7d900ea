"""What several live tests share: servers as children, daemons of their own, pictures, a tool."""

from __future__ import annotations

import base64
import os
import struct
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from fastmcp.client.transports import StdioTransport

from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from scripts.testbed import binaries, cache, daemon, processes
from tests.conftest import OUTSIDE, Caller

#: What a Valkey of the tests asks for.
PASSWORD = "only-for-this-test"
CACHE = cache.folder()
VERSION = OUTSIDE.get("OLLAMA_MCP_TESTBED_VERSION") or binaries.VERSION

#: The models answer greedily; every request is bounded besides.
SHORT = {"temperature": 0, "num_predict": 8}
LONG = {"temperature": 0, "num_predict": 64}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def user(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def picture(red: int, green: int, blue: int) -> str:
    """A PNG of 32 x 32 pixels of one colour, in base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">2I5B", 32, 32, 8, 2, 0, 0, 0)
    pixels = zlib.compress((b"\0" + bytes([red, green, blue]) * 32) * 32)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + parts).decode()


def in_memory(url: str, *, mode: str = "auto", **settings: Any) -> Caller:
    """A client of a server in this process, for the daemon at `url`."""
    told = {"toolsets": "all", **settings}
    return Caller(build_server(App(Settings(ollama_host=url, **told))), mode=mode)


def over_stdio(url: str, **environment: str) -> StdioTransport:
    """A server of its own process, started by the client as a host does it."""
    return StdioTransport(
        sys.executable, ["-m", "ollama_mcp_server"], env=_environment(url, environment)
    )


@contextmanager
def over_http(url: str, **environment: str) -> Iterator[str]:
    """Start a server with the HTTP transport, and give the URL that it prints."""
    command = [sys.executable, "-m", "ollama_mcp_server", "--transport", "http", "--port", "0"]
    with TemporaryDirectory() as folder:
        log = Path(folder, "stderr")
        child = processes.spawn(command, log, {**os.environ, **_environment(url, environment)})
        try:
            yield _printed_url(child, log)
        finally:
            child.stop()


@contextmanager
def own_daemon(**environment: str) -> Iterator[tuple[daemon.Daemon, Path]]:
    """Start a daemon with a store that may be changed; give both."""
    # in the cache, for the store's files are hard links
    with TemporaryDirectory(dir=CACHE) as folder:
        store = daemon.clone_store(daemon.shared_store(CACHE, VERSION), Path(folder, "store"))
        with daemon.start(CACHE, version=VERSION, env=environment, store=store) as ollama:
            yield ollama, store


def _environment(url: str, more: dict[str, str]) -> dict[str, str]:
    # no settings file of the developer's own
    told = {
        "XDG_CONFIG_HOME": os.devnull,
        "OLLAMA_MCP_TOOLSETS": "all",
        "OLLAMA_MCP_START_DAEMON": "never",
        "OLLAMA_API_KEY": "",
    }
    return {**told, "OLLAMA_HOST": url, **more}


def _printed_url(child: processes.Child, log: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and child.process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("ollama-mcp-server: http://"):
                return line.partition(" ")[2]
        time.sleep(0.03)
    raise AssertionError(f"the server printed no URL: {log.read_text()}")
