"""What the server says of itself: status, events, readiness; servers that go and come back."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastmcp import FastMCP

from ollama_mcp_server.agent.servers.hub import Status
from ollama_mcp_server.app import App
from ollama_mcp_server.gateway.access.keyfile import make
from ollama_mcp_server.gateway.gate import Gate
from ollama_mcp_server.gateway.observability.metrics import Metrics
from ollama_mcp_server.gateway.observability.watching import down, look, tell, watching
from ollama_mcp_server.gateway.traffic.limits import Limits
from tests.conftest import CHAT, HELLO, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.serving import served

CITY = Path(__file__).parents[2] / "servers" / "city.py"


def definition(name: str = "city", **more: Any) -> dict[str, Any]:
    told = {"command": sys.executable, "args": [str(CITY), "mark"], "auto_enable": "always"}
    return {"name": name, "description": "Weather", **told, **more}


def configured(*definitions: dict[str, Any]) -> str:
    return json.dumps({"servers": definitions})


BROKEN = definition("broken", command="/nowhere/server")


async def until(look: Callable[[], Awaitable[Any]]) -> Any:
    """Return what a look finds, once it finds something."""
    for _ in range(500):
        if found := await look():
            return found
        await asyncio.sleep(0.02)
    raise TimeoutError


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def events(client: httpx.AsyncClient, count: int) -> list[dict[str, Any]]:
    """Return the first few statuses of the stream."""
    found: list[dict[str, Any]] = []
    async with client.stream("GET", "/gateway/events") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        async for line in response.aiter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line[6:]))
                if len(found) == count:
                    break
    return found


async def test_what_runs_is_told_by_ollamas_names(make_app: MakeApp) -> None:
    async with served(make_app()) as client:
        await client.post("/api/chat", json={"model": CHAT, "messages": HELLO})
        told = (await client.get("/gateway/status")).json()
    assert told["daemon"]["version"] == "0.34.4"
    [model] = told["models"]
    assert model["name"] == CHAT
    assert {"size", "size_vram", "context_length", "expires_at"} <= set(model)
    assert told["queue"] == {"running": 0, "waiting": 0, "parallel": 4, "queue": 64}
    assert told["requests"] == []
    assert told["written"] > 0
    assert told["servers"] == []


async def test_a_request_is_live_until_its_end(make_app: MakeApp, daemon: FakeOllama) -> None:
    daemon.hold("/api/chat")
    async with served(make_app()) as client:
        body = {"model": CHAT, "messages": HELLO}
        asking = asyncio.create_task(client.post("/api/chat", json=body))

        async def shown() -> list[dict[str, Any]]:
            return (await client.get("/gateway/status")).json()["requests"]

        live = await until(shown)
        daemon.release("/api/chat")
        response = await asking
        after = (await client.get("/gateway/status")).json()
    assert live[0]["id"] == response.headers["x-request-id"]
    assert (live[0]["route"], live[0]["caller"]) == ("/api/chat", "anonymous")
    assert live[0]["phase"] in ("waiting", "asking")
    assert after["requests"] == []


async def test_a_daemon_that_is_not_there_is_told(make_app: MakeApp) -> None:
    async with served(make_app(ollama_host="127.0.0.1:9")) as client:
        told = (await client.get("/gateway/status")).json()
        assert "127.0.0.1:9" in told["daemon"]["error"]
        assert told["models"] == []
        assert (await client.get("/ready")).status_code == 503


async def test_events_go_on_until_the_client_leaves(make_app: MakeApp) -> None:
    async with served(make_app()) as client:
        first, second = await events(client, 2)
        assert first["version"] == second["version"]
        assert (await client.head("/gateway/events")).status_code == 200


async def test_who_looks_sees_what_the_key_allows(make_app: MakeApp, daemon: FakeOllama) -> None:
    tokens, keys = {}, []
    for name, scopes in (("reader", "read"), ("agent", "read agent"), ("chief", "admin"),
                         ("asker", "infer")):  # fmt: skip
        tokens[name], key = make(name, scopes=tuple(scopes.split()))
        keys.append({"name": name, "sha256": key.sha256, "scopes": scopes.split()})
    app = make_app(keys=json.dumps({"keys": keys}), servers=configured(definition()))
    daemon.hold("/api/chat")
    async with served(app) as client:

        async def status(name: str) -> httpx.Response:
            return await client.get("/gateway/status", headers=bearer(tokens[name]))

        body = {"model": CHAT, "messages": HELLO}
        asking = asyncio.create_task(
            client.post("/api/chat", json=body, headers=bearer(tokens["asker"]))
        )

        async def shown() -> list[dict[str, Any]]:
            return (await status("chief")).json()["requests"]

        live = await until(shown)
        assert live[0]["caller"] == "asker"
        reader = (await status("reader")).json()
        assert reader["requests"][0]["caller"] is None
        assert reader["servers"] is None
        assert (await status("agent")).json()["servers"][0]["name"] == "city"
        assert (await status("asker")).status_code == 403
        assert (await client.get("/gateway/status")).status_code == 401
        assert (await client.get("/metrics")).status_code == 401
        daemon.release("/api/chat")
        await asking


async def test_a_broken_configuration_is_told_and_stops_nothing(make_app: MakeApp) -> None:
    async with served(make_app(servers="{")) as client:
        told = (await client.get("/gateway/status")).json()
    assert told["servers"] == []
    assert told["servers_error"].startswith("OLLAMA_MCP_SERVERS:1:2: not JSON")


# --- Servers --------------------------------------------------------------------------------------


def gate_of(app: App) -> Gate:
    metrics = Metrics()
    limits = Limits(4, 4, watch=metrics)
    metrics.follow(app, limits.line)
    return Gate(app, limits, metrics, FastMCP("empty"))


async def test_only_those_are_started_that_are_always_enabled(make_app: MakeApp) -> None:
    app = make_app(servers=configured(definition(), definition("never", auto_enable="never")))
    await look(app)
    [status] = app.hub.statuses()
    assert (status.name, status.state) == ("city", "up")
    since = status.since
    await look(app)
    assert [status.since for status in app.hub.statuses()] == [since]
    assert down(app) == []


async def test_one_that_is_down_is_told_and_comes_back_by_itself(
    make_app: MakeApp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    later = tmp_path / "server"
    app = make_app(servers=configured(definition("later", command=str(later))))
    gate = gate_of(app)

    async def is_down() -> Any:
        return down(app)

    async def is_told() -> bool:
        return "is back" in caplog.text

    async with watching(gate, first=0, every=0.05):
        [told] = await until(is_down)
        assert told["name"] == "later"
        assert str(later) in str(told["error"])
        assert told["since"]
        assert b'server_up{server="later"} 0.0' in gate.metrics.page()[0]
        later.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
        later.chmod(0o755)
        await until(is_told)
        assert down(app) == []
        assert b'server_up{server="later"} 1.0' in gate.metrics.page()[0]
    assert caplog.text.count("is down") == 1


@pytest.mark.parametrize("scopes", ["read", "read agent"])
async def test_readiness_tells_of_servers_that_are_down(scopes: str, make_app: MakeApp) -> None:
    token, key = make("probe", scopes=tuple(scopes.split()))
    keys = {"keys": [{"name": "probe", "sha256": key.sha256, "scopes": scopes.split()}]}
    app = make_app(servers=configured(definition(), BROKEN), keys=json.dumps(keys))
    await look(app)
    async with served(app, token=token) as client:
        ready = await client.get("/ready")
    assert ready.status_code == 200
    told = ready.json()
    assert (told["status"], told["ollama"]) == ("degraded", "0.34.4")
    [status] = told["servers_down"]
    assert (status["name"], "/nowhere" in str(status)) == ("broken", "agent" in scopes)


async def test_readiness_is_plain_where_all_is_well(make_app: MakeApp) -> None:
    async with served(make_app()) as client:
        assert (await client.get("/ready")).json() == {"status": "ok", "ollama": "0.34.4"}


async def test_a_configuration_that_cannot_be_read_stops_no_watching(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    await look(make_app(servers="{"))
    assert "cannot be read" in caplog.text


def test_what_changes_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    told: dict[str, str] = {}
    for state in ("up", "idle", "down", "down", "idle", "down", "up", "up"):
        tell({"git": Status("git", state, 1.0, "gone", [])}, told)  # type: ignore[arg-type]
    assert [record.message for record in caplog.records] == [
        "the MCP server git is down: gone",
        "the MCP server git is back",
    ]
