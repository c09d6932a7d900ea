"""Bodies of requests to the MCP endpoint: which are refused, and in which words."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.transport.sessions import is_torn
from ollama_mcp_server.transport.web import build_web
from tests.wire import NEW, OLD

ERAS = (OLD[-1], NEW)


@pytest.mark.parametrize(
    ("body", "torn"),
    [
        (b'{"a": "b"}', False),
        (b'{"a": "\\ud83d\\ude00"}', False),
        (b'{"a": "\\uD83D\\uDE00"}', False),
        (b'{"a": "\\ud83d"}', True),
        (b'{"\\uDE00": 1}', True),
        (b"no JSON", False),
    ],
)
def test_half_a_character_is_noticed(body: bytes, torn: bool) -> None:
    assert is_torn(body) == torn


async def posted(app: App, era: str, body: bytes) -> httpx.Response:
    web = build_web(build_server(app), app)
    headers = {
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": era,
        "Mcp-Method": "tools/list",
    }
    async with (
        web.router.lifespan_context(web),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(web), base_url="http://127.0.0.1"
        ) as client,
    ):
        return await client.post("/mcp", content=body, headers=headers)


@pytest.mark.parametrize("era", ERAS)
@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"[]", -32600),
        (b'{"jsonrpc": "2.0", "id": "kingfisher", "method": 5}', -32600),
        (b'{"jsonrpc": "2.0", "id": "\\ud800", "method": "tools/list"}', -32700),
        (b"kingfisher", -32700),
    ],
)
async def test_what_is_no_message_is_refused_in_plain_words(
    app: App, era: str, body: bytes, code: int
) -> None:
    refused = await posted(app, era, body)
    assert refused.status_code == 400
    assert json.loads(refused.content)["error"]["code"] == code
    assert "kingfisher" not in refused.text
    assert "JSONRPCRequest" not in refused.text


@pytest.mark.parametrize("era", ERAS)
async def test_who_leaves_before_the_end_of_a_body_is_no_error(
    app: App, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    web = build_web(build_server(app), app)
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/mcp",
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1"), (b"mcp-protocol-version", era.encode())],
    }
    came = iter([{"type": "http.request", "body": b"{", "more_body": True}])
    sent: list[Any] = []

    async def receive() -> Any:
        return next(came, {"type": "http.disconnect"})

    async def send(message: Any) -> None:
        sent.append(message)

    async with web.router.lifespan_context(web):
        await web(scope, receive, send)
    assert not sent
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
