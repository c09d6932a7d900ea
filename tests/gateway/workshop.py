"""The gateway on a real socket with this server's own tools, and MCP servers that are processes."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from pydantic import SecretStr

from ollama_mcp_server.app import App
from ollama_mcp_server.gateway.access.keyfile import make
from ollama_mcp_server.gateway.app import build_gateway
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from tests.fake_ollama import FakeOllama

SERVERS = Path(__file__).parents[1] / "servers"


def server(script: str | Path, *args: str, **fields: Any) -> dict[str, Any]:
    """Define a server of `tests/servers`, or a script of one's own."""
    file = SERVERS / script
    told = {"name": file.stem, "command": sys.executable, "args": [str(file), *args]}
    return {**told, **fields}


def script(folder: Path, tools: Sequence[dict[str, Any]], answer: str = "text(name)") -> Path:
    """Write a server with these tools; `answer` is Python for a call of `name` with `arguments`."""
    file = folder / "made.py"
    file.write_text(
        f"import sys\nsys.path.insert(0, {str(SERVERS)!r})\n"
        "import json, time\nfrom _lines import serve, text\n"
        f"serve(json.loads({json.dumps(tools)!r}), lambda name, arguments, message: {answer})\n"
    )
    return file


@asynccontextmanager
async def opened(
    daemon: FakeOllama, *servers: dict[str, Any], key: str = "", keys: Any = None, **settings: Any
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve a gateway with these MCP servers, and give a client of it.

    Args:
        daemon: that it serves.
        servers: their definitions.
        key: what the client sends.
        keys: those that are known; None where none is needed.
        settings: of the server.
    """
    told = {"toolsets": "all", "servers": json.dumps({"servers": servers}), **settings}
    if keys is not None:
        told["keys"] = SecretStr(json.dumps({"keys": keys}))
    app = App(Settings(ollama_host=daemon.url, **told))
    mcp = build_server(app)
    web = build_gateway(app, mcp, mcp.http_app(host_origin_protection=False))
    config = uvicorn.Config(web, port=0, log_config=None, ws="none", lifespan="on")
    running = uvicorn.Server(config)
    serving = asyncio.create_task(running.serve())
    while not running.started:  # noqa: ASYNC110 - a few times, at the start
        await asyncio.sleep(0.005)
    host, port = running.servers[0].sockets[0].getsockname()[:2]
    headers = {"authorization": f"Bearer {key}"} if key else {}
    url = f"http://{host}:{port}"
    try:
        async with httpx.AsyncClient(
            base_url=url, headers=headers, trust_env=False, timeout=60
        ) as client:
            yield client
    finally:
        running.should_exit = running.force_exit = True
        await serving


def key_of(name: str, *scopes: Any, **limits: Any) -> tuple[str, dict[str, Any]]:
    """Return a new key, and how it is kept."""
    token, kept = make(name, scopes=scopes, **limits)
    return token, kept.model_dump(mode="json", exclude_none=True)


def error_of(said: httpx.Response) -> tuple[int, str, str]:
    """Return status, code and text of a refusal."""
    error = said.json()["error"]
    assert set(error) >= {"code", "message", "hint", "retryable"}
    return said.status_code, error["code"], f"{error['message']} {error['hint']}"
