"""Paths and methods that no route has: refused in the words of the API that was meant."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fake_ollama import FakeOllama
from tests.gateway.workshop import opened


async def asked(client: httpx.AsyncClient, method: str, path: str) -> tuple[int, str, Any]:
    said = await client.request(method, path)
    return said.status_code, said.headers.get("allow", ""), said.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("DELETE", "/api/ask", "POST"),
        ("GET", "/api/do", "POST"),
        ("PUT", "/tools", "GET"),
        ("POST", "/gateway/status", "GET"),
        ("POST", "/v1/models", "GET, HEAD"),
        ("DELETE", "/tools/ollama/ollama_list", "POST"),
    ],
)
async def test_a_method_that_is_not_served_is_told_which_is(
    method: str, path: str, allowed: str, daemon: FakeOllama
) -> None:
    async with opened(daemon) as client:
        status, allow, _ = await asked(client, method, path)
    assert (status, allow) == (405, allowed)
    assert daemon.requests == []


async def test_a_path_that_is_not_there_is_refused_in_its_dialect(daemon: FakeOllama) -> None:
    async with opened(daemon) as client:
        assert (await asked(client, "GET", "/nowhere"))[2]["code"] == "not_found"
        assert (await asked(client, "POST", "/v1/nowhere"))[2]["type"] == "invalid_request_error"
        status, _, error = await asked(client, "GET", "/v1/messages/nowhere")
        assert (status, error["type"]) == (404, "not_found_error")


async def test_the_mcp_server_keeps_its_paths(daemon: FakeOllama) -> None:
    async with opened(daemon) as client:
        assert (await client.post("/mcp", json={})).status_code in (400, 406)
        assert (await client.request("PUT", "/mcp")).status_code == 405
