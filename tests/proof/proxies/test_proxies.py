"""The server behind nginx and Caddy: streams arrive as they are made, and end when told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx

from scripts.testbed import models, runner
from tests.wire import NEW, envelope

from .conftest import HOST, Proxied

#: What httpx must say to a proxy that is reached by its address.
NAMED = {"sni_hostname": HOST}
COUNT = [{"role": "user", "content": "Count: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,"}]
#: A picture or a long text; more than proxies take unless told.
LARGE = 20_000_000


def streamed(proxied: Proxied, path: str, body: dict[str, Any], **headers: str) -> Any:
    return proxied.client.stream("POST", path, json=body, headers=headers, extensions=NAMED)


def lines(said: httpx.Response) -> Iterator[dict[str, Any]]:
    """Yield the objects of a stream: of events, or line by line."""
    for line in said.iter_lines():
        text = line.removeprefix("data: ")
        if text.startswith("{"):
            yield json.loads(text)


def ends_the_runner_when_it_leaves(
    proxied: Proxied, path: str, body: dict[str, Any], **headers: str
) -> None:
    """Read the first parts of a long answer, see that the model still works on it, and leave."""
    with streamed(proxied, path, body, **headers) as said:
        assert said.status_code == 200, said.read()
        parts = lines(said)
        assert next(parts)
        assert next(parts)
        assert not runner.is_idle(proxied.ollama.pid), "it came when all had been written"
    runner.wait_until_idle(proxied.ollama.pid)


def test_a_completion_streams_and_stops_when_its_client_leaves(proxied: Proxied) -> None:
    body = {"model": models.CHAT, "messages": COUNT, "stream": True, "max_tokens": 1900}
    ends_the_runner_when_it_leaves(proxied, "/v1/chat/completions", body)


def test_ollama_s_own_stream_does_too(proxied: Proxied) -> None:
    body = {"model": models.CHAT, "messages": COUNT, "options": {"num_predict": 1900}}
    ends_the_runner_when_it_leaves(proxied, "/api/chat", body)


def test_a_call_over_mcp_tells_its_progress_and_stops_when_its_client_leaves(
    proxied: Proxied,
) -> None:
    arguments = {"model": models.CHAT, "messages": COUNT, "options": {"num_predict": 1900}}
    call = {"name": "ollama_chat", "arguments": arguments, "_meta": envelope(progressToken=1)}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": call}
    headers = {
        "Accept": "application/json, text/event-stream",
        "MCP-Protocol-Version": NEW,
        "Mcp-Method": "tools/call",
        "Mcp-Name": "ollama_chat",
    }
    ends_the_runner_when_it_leaves(proxied, "/mcp", body, **headers)


def test_a_whole_answer_comes_back(proxied: Proxied) -> None:
    asked = [{"role": "user", "content": "What is the capital of France?"}]
    body = {"model": models.CHAT, "messages": asked, "temperature": 0}
    said = proxied.client.post("/v1/chat/completions", json=body, extensions=NAMED)
    assert "Paris" in said.json()["choices"][0]["message"]["content"]


def test_a_large_request_reaches_the_server(proxied: Proxied) -> None:
    body = {"model": "none", "messages": [{"role": "user", "content": "x" * LARGE}]}
    said = proxied.client.post("/v1/chat/completions", json=body, extensions=NAMED)
    assert said.status_code == 404
    assert "none" in said.json()["error"]["message"]


def test_the_host_and_the_token_are_looked_at_by_the_server(proxied: Proxied) -> None:
    client = proxied.client
    wrong = {"Authorization": "Bearer wrong"}
    assert client.get("/v1/models", headers=wrong, extensions=NAMED).status_code == 401
    assert client.get("/v1/models", extensions=NAMED).status_code == 200
    said = client.get("/v1/models", headers={"Host": "evil.example"}, extensions=NAMED)
    assert said.status_code in {421, 200}  # Caddy answers what is not its own with an empty 200
    assert "data" not in said.text
