"""Requests that the gateway passes on as they are, where there are several hosts."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import ExitStack

import httpx
import pytest

from ollama_mcp_server.app import App
from tests.conftest import CHAT, HELLO, THINKER, MakeApp
from tests.daemon.hosts.asking import asked, drop, load
from tests.fake_ollama import FakeOllama
from tests.gateway.serving import served

ASK = {"model": CHAT, "messages": HELLO}
HEADER = "x-ollama-host"


@pytest.fixture
async def gateway(several: App) -> AsyncIterator[httpx.AsyncClient]:
    async with served(several) as client:
        yield client


@pytest.mark.parametrize("path", ["/api/chat", "/v1/messages"])
async def test_it_goes_where_the_model_is_loaded_and_says_so(
    path: str, gateway: httpx.AsyncClient, desk: FakeOllama, gpu: FakeOllama
) -> None:
    await load(gpu)
    answer = await gateway.post(path, json=ASK)
    assert answer.headers[HEADER] == "gpu"
    assert (asked(desk, path), asked(gpu, path)) == (0, 1)


async def test_a_header_names_the_host(
    gateway: httpx.AsyncClient, desk: FakeOllama, gpu: FakeOllama
) -> None:
    headers = {HEADER: "gpu"}
    assert (await gateway.post("/api/chat", json=ASK, headers=headers)).status_code == 200
    question = {"question": "Hi", "model": CHAT, "servers": []}
    assert (await gateway.post("/api/ask", json=question, headers=headers)).is_success
    assert (asked(desk), asked(gpu)) == (0, 2)


async def test_a_host_that_there_is_not(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.post("/api/chat", json=ASK, headers={HEADER: "gqu"})
    assert answer.status_code == 400
    assert "Did you mean gpu?" in answer.json()["error"]


@pytest.mark.parametrize("how", ["refuses", "breaks", "is full"])
async def test_before_the_answer_begins_another_host_is_asked(
    how: str, make_app: MakeApp, gpu: FakeOllama
) -> None:
    with ExitStack() as stack:
        desk = stack.enter_context(FakeOllama())
        await load(desk)
        app = make_app(hosts={"desk": desk.url, "gpu": gpu.url})
        await app.client.hosts[0].look()
        async with served(app) as gateway:
            if how == "refuses":
                stack.close()
            elif how == "breaks":
                desk.reply("/api/chat", cut=True)
            else:
                desk.reply("/api/chat", {"error": "server busy"}, status=503)
            answer = await gateway.post("/api/chat", json=ASK)
            assert answer.headers[HEADER] == "gpu"
            assert answer.is_success


async def test_where_all_are_full_the_daemons_words_come_through(
    gateway: httpx.AsyncClient, desk: FakeOllama, gpu: FakeOllama
) -> None:
    for daemon in (desk, gpu):
        daemon.reply("/api/chat", {"error": "server busy"}, status=503)
    answer = await gateway.post("/api/chat", json=ASK)
    assert (answer.status_code, answer.json()) == (503, {"error": "server busy"})


async def test_a_refusal_says_nothing_of_where_the_model_is(
    gateway: httpx.AsyncClient, desk: FakeOllama, gpu: FakeOllama
) -> None:
    drop(desk, CHAT)
    for host, status in (("desk", 404), ("", 200)):
        headers = {HEADER: host} if host else {}
        answer = await gateway.post("/api/chat", json=ASK, headers=headers)
        assert answer.status_code == status


async def test_limits_hold_for_what_is_passed_on(
    make_app: MakeApp, desk: FakeOllama, gpu: FakeOllama
) -> None:
    app = make_app(hosts={"desk": {"url": desk.url, "limit": 1}, "gpu": gpu.url})
    await load(desk)
    desk.hold("/api/chat")
    async with served(app) as gateway:
        first = asyncio.create_task(gateway.post("/api/chat", json=ASK))
        await desk.until(lambda: asked(desk) == 1)
        assert (await gateway.post("/api/chat", json=ASK)).headers[HEADER] == "gpu"
        desk.release("/api/chat")
        assert (await first).headers[HEADER] == "desk"
    assert [host.running for host in app.client.hosts] == [0, 0]


async def test_the_library_of_all_is_listed(
    gateway: httpx.AsyncClient, desk: FakeOllama, gpu: FakeOllama
) -> None:
    drop(desk, THINKER)
    await load(gpu)
    rows = (await gateway.get("/api/tags")).json()["models"]
    assert {row["name"]: row["hosts"] for row in rows}[THINKER] == ["gpu"]
    [row] = (await gateway.get("/api/ps")).json()["models"]
    assert (row["name"], row["host"]) == (CHAT, "gpu")
    ids = [row["id"] for row in (await gateway.get("/v1/models")).json()["data"]]
    assert THINKER in ids
    assert ids.count(CHAT) == 1


async def test_a_blob_goes_where_its_create_goes(
    gateway: httpx.AsyncClient, desk: FakeOllama, gpu: FakeOllama
) -> None:
    data = b"GGUF" + b"x" * 1000
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    path = f"/api/blobs/{digest}"
    assert (await gateway.post(path, content=data)).status_code == 201
    body = {"model": "mine", "files": {"x.gguf": digest}, "stream": False}
    assert (await gateway.post("/api/create", json=body)).json()["status"] == "success"
    assert (asked(desk, path), asked(gpu, path)) == (1, 0)
    headers = {HEADER: "gpu"}
    assert (await gateway.head(path, headers=headers)).status_code == 404


async def test_the_status_shows_every_host(gateway: httpx.AsyncClient, gpu: FakeOllama) -> None:
    gpu.reply("/api/version", status=500)
    told = (await gateway.get("/gateway/status")).json()["hosts"]
    assert [(host["name"], host["state"]) for host in told] == [("desk", "up"), ("gpu", "down")]


async def test_what_models_answer_is_counted_at_every_host(
    gateway: httpx.AsyncClient, gpu: FakeOllama
) -> None:
    for name in ("desk", "gpu"):
        await gateway.post("/api/chat", json=ASK, headers={HEADER: name})
    page = (await gateway.get("/metrics")).text
    lines = [line for line in page.splitlines() if "_count{" in line and CHAT in line]
    assert any(line.endswith(" 2.0") for line in lines), lines
