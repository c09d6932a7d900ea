"""The gateway as the command serves it: in the same process and port as the MCP endpoint."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_ollama import FakeOllama
from tests.wire import OLD, TERM, Http, HttpClient

TOKEN = "a-token-that-nobody-can-guess"
#: Says what was loaded to serve over HTTP.
LOADED = """
import sys
from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
from ollama_mcp_server.transport.web import build_web

app = App(Settings(gateway=sys.argv[1] == "on"))
build_web(build_server(app), app)
print(sorted({"fastapi", "httpx", "ollama"} & set(sys.modules)))
"""
#: Says what of HTTP was loaded to serve over stdio.
LOADED_FOR_STDIO = """
import sys
from ollama_mcp_server.app import App
from ollama_mcp_server.server import build_server
from ollama_mcp_server.settings import Settings
import ollama_mcp_server.cli, ollama_mcp_server.transport.stdio

build_server(App(Settings()))
print([name for name in sys.modules if name.startswith("ollama_mcp_server.gateway")])
"""


@pytest.fixture(scope="module")
def server(one_daemon: FakeOllama, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Http]:
    home = tmp_path_factory.mktemp("home")
    with Http(home, "--gateway", OLLAMA_HOST=one_daemon.url) as server:
        yield server


def test_everything_is_at_one_port(server: Http, daemon: FakeOllama) -> None:
    assert server.ask("GET", "/") == (200, b"Ollama is running")
    assert json.loads(server.ask("GET", "/health")[1]) == {"status": "ok"}
    assert json.loads(server.ask("GET", "/ready")[1])["status"] == "ok"
    assert "version" in json.loads(server.ask("GET", "/api/version")[1])
    assert server.ask("GET", "/docs")[0] == 200
    assert server.ask("GET", "/sse", Accept="text/event-stream")[0] == 404
    assert "paths" in json.loads(server.ask("GET", "/openapi.json")[1])
    for era in (server, HttpClient(server.url, OLD[-1])):
        assert era.call("ollama_list")["structuredContent"]["models"]


def test_a_foreign_page_and_a_foreign_name_get_nowhere(server: Http) -> None:
    for path in ("/", "/api/version", "/health", "/mcp"):
        assert server.ask("GET", path, Origin="https://example.com")[0] == 403
        assert server.ask("GET", path, Host="example.com")[0] == 421


def test_one_token_opens_every_route(one_daemon: FakeOllama, tmp_path: Path) -> None:
    with Http(tmp_path, "--gateway", token=TOKEN, OLLAMA_HOST=one_daemon.url) as server:
        assert server.ask("GET", "/api/version")[0] == 200
        assert server.call("ollama_list")["structuredContent"]["models"]
        server.headers = {}
        for path in ("/api/version", "/mcp", "/ready", "/docs"):
            assert server.ask("GET", path)[0] == 401
        assert server.end(TERM) < 5
        assert "Traceback" not in server.stderr


@pytest.mark.parametrize("gateway", ["on", "off"])
def test_fastapi_is_loaded_only_for_the_gateway(gateway: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED, gateway], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ("fastapi" in ran.stdout) == (gateway == "on")
    assert gateway == "on" or ran.stdout == "[]\n"


def test_nothing_of_the_gateway_is_loaded_for_stdio() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", LOADED_FOR_STDIO], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "[]\n"
