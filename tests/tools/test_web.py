"""Hosted search and fetch, against a stand-in: the real service needs an account."""

from __future__ import annotations

import pytest

from ollama_mcp_server.server import build_server
from tests.conftest import Caller, MakeApp, text
from tests.fake_ollama import FakeOllama

KEY = "a-key-for-the-cloud"


@pytest.fixture
async def online(make_app: MakeApp, daemon: FakeOllama):
    app = make_app(api_key=KEY, cloud_url=daemon.url)
    async with Caller(build_server(app)) as client:
        yield client


async def test_search(online: Caller, daemon: FakeOllama) -> None:
    found = {"results": [{"title": "T", "url": "https://u", "content": "C"}]}
    daemon.reply("/api/web_search", found)
    result = await online.call("ollama_web_search", query="q", max_results=3)
    assert result.structured_content == found
    assert text(result) == "T\nhttps://u\nC"
    assert daemon.requests[-1].body == {"query": "q", "max_results": 3}
    assert daemon.requests[-1].headers["authorization"] == f"Bearer {KEY}"


async def test_fetch(online: Caller, daemon: FakeOllama) -> None:
    page = {"title": "T", "content": "C", "links": ["https://l"]}
    daemon.reply("/api/web_fetch", page)
    result = await online.call("ollama_web_fetch", url="https://u")
    assert result.structured_content == page
    assert daemon.requests[-1].body == {"url": "https://u"}


async def test_a_wrong_key_is_told_without_the_key(online: Caller, daemon: FakeOllama) -> None:
    daemon.reply("/api/web_search", {"error": "unauthorized"}, status=401)
    error = await online.error("ollama_web_search", query="q")
    assert error["code"] == "unauthorized"
    assert KEY not in str(error)


async def test_the_service_out_of_reach(make_app: MakeApp) -> None:
    app = make_app(api_key=KEY, cloud_url="http://127.0.0.1:9")
    async with Caller(build_server(app)) as client:
        error = await client.error("ollama_web_fetch", url="https://u")
    assert error["code"] == "daemon_unreachable"
    assert "ollama.com" in error["hint"]
