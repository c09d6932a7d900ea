"""What is counted: requests, tokens, speed, the line, tools, servers."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from ollama_mcp_server.agent.definitions.configuration import configured
from ollama_mcp_server.agent.servers.hub import Status
from ollama_mcp_server.app import App
from ollama_mcp_server.daemon.watched import HEAD, READ, End, model_in, watch
from ollama_mcp_server.errors import DaemonError, ModelNotFound, NotFound, RateLimited, TimedOut
from ollama_mcp_server.gateway.access.caller import ANONYMOUS
from ollama_mcp_server.gateway.observability.metrics import OTHER, ROWS, Metrics, latest
from ollama_mcp_server.gateway.observability.requests import NOWHERE, route_of
from ollama_mcp_server.gateway.traffic.limits import Limits
from ollama_mcp_server.gateway.traffic.line import Line
from tests.conftest import CHAT, EMBEDDER, HELLO, MakeApp
from tests.fake_ollama import FakeOllama
from tests.gateway.serving import served

CITY = Path(__file__).parents[2] / "servers" / "city.py"
ENDED = {
    "model": CHAT,
    "done": True,
    "done_reason": "stop",
    "message": {"role": "assistant", "content": ""},
    "load_duration": 2_000_000_000,
    "prompt_eval_count": 11,
    "prompt_eval_duration": 500_000_000,
    "eval_count": 3,
    "eval_duration": 100_000_000,
}


def said(word: str) -> dict[str, Any]:
    return {"model": CHAT, "message": {"role": "assistant", "content": word}, "done": False}


def value(metrics: Metrics, name: str, **labels: str) -> float:
    found = metrics.registry.get_sample_value(f"ollama_mcp_{name}", labels)
    return 0.0 if found is None else found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def watched(make_app: MakeApp, metrics: Metrics) -> App:
    app = make_app()
    watch(app.client, metrics.begin)
    return app


async def heard(app: App, path: str, **body: Any) -> list[Any]:
    return [part async for part in app.client.stream(path, {"model": CHAT, **body})]


async def test_tokens_speed_and_loads_are_those_that_the_daemon_tells(
    watched: App, metrics: Metrics, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", said("Hel"), said("lo"), ENDED)
    parts = await heard(watched, "/api/chat", messages=HELLO)
    assert len(parts) == 3
    assert value(metrics, "tokens_total", model=CHAT, kind="in") == 11
    assert value(metrics, "tokens_total", model=CHAT, kind="out") == 3
    assert value(metrics, "model_loads_total", model=CHAT) == 1
    assert value(metrics, "model_load_seconds_sum", model=CHAT) == 2
    assert value(metrics, "time_to_first_token_seconds_count", model=CHAT) == 1
    assert value(metrics, "tokens_per_second_sum", model=CHAT) == pytest.approx(30)
    assert metrics.live.written == 3
    assert not metrics.live.turns


async def test_an_answer_in_one_piece_counts_too(
    watched: App, metrics: Metrics, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", ENDED)
    await watched.client.request("POST", "/api/chat", {"model": CHAT, "stream": False})
    assert value(metrics, "tokens_total", model=CHAT, kind="out") == 3
    assert value(metrics, "time_to_first_token_seconds_sum", model=CHAT) == 2.5


async def test_embeddings_read_and_write_nothing(watched: App, metrics: Metrics) -> None:
    body = {"model": EMBEDDER, "input": ["a text"]}
    await watched.client.request("POST", "/api/embed", body)
    assert value(metrics, "tokens_total", model=EMBEDDER, kind="in") > 0
    assert value(metrics, "tokens_total", model=EMBEDDER, kind="out") == 0


async def test_what_is_live_is_known_while_it_goes_on(
    watched: App, metrics: Metrics, daemon: FakeOllama
) -> None:
    daemon.hold("/api/chat")
    asking = asyncio.create_task(heard(watched, "/api/chat", messages=HELLO))
    await daemon.until(lambda: len(metrics.live.turns) == 1)
    [row] = metrics.live.rows()
    assert (row["model"], row["phase"], row["tokens"], row["route"]) == (CHAT, "asking", 0, "/mcp")
    daemon.release("/api/chat")
    await asking
    assert metrics.live.rows() == []


async def test_one_who_goes_away_leaves_nothing_live(
    watched: App, metrics: Metrics, daemon: FakeOllama
) -> None:
    daemon.hold("/api/chat")
    asking = asyncio.create_task(heard(watched, "/api/chat", messages=HELLO))
    await daemon.until(lambda: len(metrics.live.turns) == 1)
    asking.cancel()
    await asyncio.wait([asking])
    assert not metrics.live.turns


async def test_a_cut_answer_is_counted_as_such(
    watched: App, metrics: Metrics, daemon: FakeOllama
) -> None:
    daemon.reply("/api/chat", said("Hel"), cut=True)
    with pytest.raises(DaemonError):
        await heard(watched, "/api/chat", messages=HELLO)
    assert not metrics.live.turns
    assert value(metrics, "broken_answers_total", model=CHAT) == 1
    assert value(metrics, "tokens_total", model=CHAT, kind="out") == 0


async def test_a_model_that_is_not_there_gets_no_row(watched: App, metrics: Metrics) -> None:
    for number in range(3):
        with pytest.raises(ModelNotFound):
            await heard(watched, "/api/chat", model=f"invented-{number}", messages=HELLO)
    assert b"invented" not in metrics.page()[0]


async def test_who_cannot_be_reached_is_forgotten(metrics: Metrics, make_app: MakeApp) -> None:
    app = make_app(ollama_host="127.0.0.1:9")
    watch(app.client, metrics.begin)
    with pytest.raises(Exception, match="127"):
        await heard(app, "/api/chat", messages=HELLO)
    assert not metrics.live.turns


def test_models_and_tools_without_end_share_a_row(metrics: Metrics) -> None:
    for number in range(ROWS + 5):
        metrics.called("server", f"tool{number}", "ok", 0.1)
        turn = metrics.begin("/api/chat", f"model{number}")
        turn.answered(200)
        turn.ended(End(b'{"eval_count": 2, "prompt_eval_count": 1}'))
    assert value(metrics, "tool_calls_total", server="server", tool=OTHER, outcome="ok") == 5
    assert value(metrics, "tokens_total", model=OTHER, kind="out") == 10
    assert value(metrics, "tool_call_seconds_count", server="server") == ROWS + 5


def test_servers_are_shown_as_they_are_when_asked(metrics: Metrics) -> None:
    metrics.servers = lambda: [
        Status("git", "up", 100.0, None, ["log"]),
        Status("files", "idle", 50.0, None, []),
        Status("files", "down", 60.0, "gone", []),
    ]
    assert value(metrics, "server_up", server="git") == 1
    assert value(metrics, "server_up", server="files") == 0
    assert value(metrics, "server_since_seconds", server="files", state="down") == 60
    metrics.servers = tuple
    assert b"files" not in metrics.page()[0]


async def test_calls_of_tools_are_counted_with_their_outcome(
    metrics: Metrics, make_app: MakeApp
) -> None:
    city = {"name": "city", "command": sys.executable, "args": [str(CITY), "mark"]}
    app = make_app(servers=json.dumps({"servers": [city]}))
    metrics.follow(app, Line(1, 1))
    async with app.hub.lease(configured(app.settings), None) as lease:
        await lease.call("city", "get_weather", {"city": "Oslo"}, 20)
        assert (await lease.call("city", "no_such_tool", {}, 20)).is_error
        with pytest.raises(TimedOut):
            await lease.call("city", "get_time", {}, 0)
        with pytest.raises(NotFound):
            await lease.call("nowhere", "x", {}, 20)
    labels = {"server": "city", "tool": "get_weather", "outcome": "ok"}
    assert value(metrics, "tool_calls_total", **labels) == 1
    assert value(metrics, "tool_call_seconds_count", server="city") == 3
    told = metrics.page()[0].decode()
    assert 'outcome="failed",server="city",tool="no_such_tool"' in told
    assert 'outcome="timeout",server="city",tool="get_time"' in told
    assert "nowhere" not in told


def test_of_a_servers_connections_the_newest_counts() -> None:
    newer, older = Status("git", "down", 2.0, "x", []), Status("git", "up", 1.0, None, [])
    assert latest([newer, older]) == {"git": newer}


async def test_the_line_is_shown(metrics: Metrics) -> None:
    metrics.line = line = Line(1, 5)
    await line.enter("a")
    waiting = asyncio.create_task(line.enter("b"))
    await asyncio.sleep(0)
    assert (value(metrics, "running"), value(metrics, "queue_length")) == (1, 1)
    line.leave()
    await waiting


async def test_the_limits_tell_of_waits_and_refusals(metrics: Metrics) -> None:
    limits = Limits(1, 0, watch=metrics)
    async with limits.place(ANONYMOUS, CHAT):
        with pytest.raises(Exception, match="wait already"):
            async with limits.place(ANONYMOUS, CHAT):
                pass
    metrics.refused(ANONYMOUS, None, RateLimited("too many"))
    assert value(metrics, "queue_seconds_count") == 1
    assert value(metrics, "refusals_total", code="queue_full") == 1
    assert value(metrics, "refusals_total", code="rate_limited") == 1


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/v1/models/hf.co/a/b:q4", "/v1/models/{model:path}"),
        ("/api/blobs/sha256:12", "/api/blobs/{digest}"),
        ("/mcp", "/mcp"),
        ("/wp-login.php", NOWHERE),
        ("/api/chat/../..", NOWHERE),
    ],
)
def test_a_route_is_one_of_those_that_are_known(path: str, route: str) -> None:
    assert route_of(path, "/mcp") == route


def test_the_model_of_a_request_is_read_without_much_work() -> None:
    assert model_in(b'{"messages": [{"content": "\\"model\\": \\"x\\""}], "model": "m"}') == "m"
    assert model_in(b'{"model": "m", "images": ["' + b"A" * READ + b'"]}') == "m"
    assert model_in(b'{"i": "' + b"A" * (READ + HEAD) + b'", "model": "m"}') is None
    assert model_in(b"no JSON") is None
    assert model_in(b"[" * 100_000) is None
    assert model_in(b'{"model": 5}') is None


def test_counts_are_not_taken_from_what_a_model_says() -> None:
    end = End(rb'{"response": "\"eval_count\": 99", "done_reason": "stop", "eval_count": 4}')
    assert (end.tokens, end.reason) == (4, "stop")
    assert End(b"").tokens is None


@pytest.mark.parametrize(
    "tail",
    [
        b'{"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}',
        b'data: {"usage":{"input_tokens":7,"output_tokens":2}}\n\n',
    ],
)
def test_every_dialect_tells_its_counts(tail: bytes) -> None:
    assert (End(tail).prompt_tokens, End(tail).tokens) == (7, 2)


@pytest.fixture
async def gateway(make_app: MakeApp) -> AsyncIterator[httpx.AsyncClient]:
    async with served(make_app()) as client:
        yield client


async def test_the_figures_are_served_in_the_form_that_is_asked_for(
    gateway: httpx.AsyncClient,
) -> None:
    body = {"model": CHAT, "messages": HELLO}
    assert (await gateway.post("/api/chat", json=body)).status_code == 200
    assert (await gateway.get("/nothing?token=hidden")).status_code == 404
    plain = await gateway.get("/metrics")
    assert plain.headers["content-type"].startswith("text/plain")
    assert 'requests_total{method="POST",route="/api/chat",status="200"} 1.0' in plain.text
    assert 'requests_total{method="GET",route="other",status="404"} 1.0' in plain.text
    assert f'tokens_total{{kind="out",model="{CHAT}"}}' in plain.text
    assert "hidden" not in plain.text
    open_ = {"accept": "application/openmetrics-text; version=1.0.0"}
    told = await gateway.get("/metrics", headers=open_)
    assert told.headers["content-type"].startswith("application/openmetrics-text")
    assert told.text.endswith("# EOF\n")


async def test_what_passes_by_unread_is_counted_too(gateway: httpx.AsyncClient) -> None:
    body = {"model": CHAT, "prompt": "Hello", "stream": False}
    assert (await gateway.post("/api/generate", json=body)).status_code == 200
    told = (await gateway.get("/metrics")).text
    assert f'tokens_total{{kind="in",model="{CHAT}"}}' in told
