"""Several hosts as one client: who is asked, who is asked instead, and who waits."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.daemon.client import Client
from ollama_mcp_server.daemon.hosts.errand import errand
from ollama_mcp_server.daemon.hosts.hosts import Hosts
from ollama_mcp_server.errors import (
    DaemonError,
    DaemonUnreachable,
    InvalidArgument,
    ModelNotFound,
    QueueFull,
)
from ollama_mcp_server.progress import Progress
from scripts.testbed.processes import free_port
from tests.conftest import CHAT, EMBEDDER, THINKER, MakeApp
from tests.daemon.hosts.asking import DONE, PART, asked, chat, drop, hold, load
from tests.fake_ollama import ELSEWHERE, FakeOllama

NAMES = ("desk", "gpu")


def nowhere() -> str:
    """An address where nothing answers."""
    return f"http://127.0.0.1:{free_port()}"


def test_one_host_is_a_plain_client(app: App) -> None:
    assert type(app.client) is Client
    assert app.client.hosts == ()


async def test_a_model_is_asked_where_it_is_loaded(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    await load(gpu)
    await chat(hosts)
    await chat(hosts, THINKER)
    assert (asked(desk), asked(gpu)) == (1, 1)


async def test_a_model_is_asked_where_it_is_installed(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    drop(desk, EMBEDDER)
    body = {"model": EMBEDDER, "input": "x"}
    assert (await hosts.request("POST", "/api/embed", body))["embeddings"]
    assert (asked(desk, "/api/embed"), asked(gpu, "/api/embed")) == (0, 1)


async def test_of_two_the_less_busy_is_asked(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    held = await hold(hosts, desk, THINKER)
    await chat(hosts)
    assert (asked(desk), asked(gpu)) == (1, 1)
    desk.release("/api/chat")
    await held


async def test_what_a_host_has_is_asked_once_a_moment(hosts: Hosts, gpu: FakeOllama) -> None:
    await asyncio.gather(*(chat(hosts) for _ in range(20)))
    assert asked(gpu, "/api/tags") == asked(gpu, "/api/ps") == 1


# Where a host fails.


async def test_where_nothing_answers_another_is_asked(make_app: MakeApp, gpu: FakeOllama) -> None:
    client = make_app(hosts={"desk": nowhere(), "gpu": gpu.url}).client
    assert (await chat(client))[-1]["done"]
    assert client.hosts[0].down is not None


async def test_a_host_that_goes_between_look_and_request_is_passed_over(
    make_app: MakeApp, gpu: FakeOllama
) -> None:
    with FakeOllama() as desk:
        client = make_app(hosts={"desk": desk.url, "gpu": gpu.url}).client
        await chat(client)
    assert client.hosts[0].down is None
    assert (await chat(client))[-1]["done"]
    assert asked(gpu) == 1


async def test_a_full_queue_is_no_wait_where_another_has_room(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    desk.reply("/api/chat", {"error": "server busy"}, status=503, times=9)
    await chat(hosts)
    assert (asked(desk), asked(gpu)) == (1, 1)
    assert hosts.hosts[0].down is None


async def test_where_all_queues_are_full_it_is_asked_again(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ollama_mcp_server.daemon.client.PAUSES", (0.01, 0.01))
    for daemon in (desk, gpu):
        daemon.reply("/api/chat", {"error": "server busy"}, status=503, times=2)
    told: list[str] = []
    body = {"model": CHAT, "messages": []}
    parts = [part async for part in hosts.stream("/api/chat", body, waiting=told.append)]
    assert parts[-1]["done"]
    assert len(told) == 2
    for daemon in (desk, gpu):
        daemon.reply("/api/chat", {"error": "server busy"}, status=503, times=9)
    with pytest.raises(QueueFull):
        await chat(hosts)


async def test_a_connection_that_breaks_before_the_first_part_is_no_end(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    desk.reply("/api/chat", cut=True)
    assert (await chat(hosts))[-1]["done"]
    assert asked(gpu) == 1


async def test_after_the_first_part_nothing_is_asked_again(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    desk.reply("/api/chat", PART, cut=True)
    with pytest.raises(DaemonError, match="broke"):
        await chat(hosts)
    assert asked(gpu) == 0


async def test_a_refusal_is_an_answer(hosts: Hosts, desk: FakeOllama, gpu: FakeOllama) -> None:
    desk.reply("/api/chat", {"error": "model runner has crashed"}, status=500)
    with pytest.raises(DaemonError, match="crashed") as raised:
        await chat(hosts)
    assert raised.value.details["host"] == "desk"
    assert asked(gpu) == 0


async def test_a_change_that_broke_off_is_not_made_elsewhere(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    desk.reply("/api/pull", cut=True)
    with pytest.raises(DaemonError, match="broke"):
        _ = [part async for part in hosts.stream("/api/pull", {"model": ELSEWHERE.name})]
    assert asked(gpu, "/api/pull") == 0


async def test_where_none_answers_the_error_names_them_all(make_app: MakeApp) -> None:
    urls = {"desk": nowhere(), "gpu": nowhere()}
    client = make_app(hosts=urls).client
    for ask in (chat(client), client.request("GET", "/api/tags")):
        with pytest.raises(DaemonUnreachable) as raised:
            await ask
        assert all(name in str(raised.value) for name in (*urls, *urls.values()))


async def test_a_model_of_a_host_that_is_down_is_not_said_to_be_missing(
    make_app: MakeApp, desk: FakeOllama
) -> None:
    drop(desk, THINKER)
    with FakeOllama() as gpu:
        client = make_app(hosts={"desk": desk.url, "gpu": gpu.url}).client
        await chat(client, THINKER)
        url = gpu.url
    with pytest.raises(DaemonUnreachable, match=url):
        await chat(client, THINKER)


async def test_a_host_that_is_back_is_used_again(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    drop(gpu)
    desk.reply("/api/tags", status=500)
    with pytest.raises(ModelNotFound) as raised:
        await chat(hosts)
    assert "desk is not known: down" in raised.value.hint
    down = hosts.hosts[0].down
    assert down is not None
    down.until = 0.0  # its pause is over
    await hosts.look()  # asks it on the side
    while hosts.hosts[0].down:  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    await chat(hosts)
    assert asked(desk) == 1


async def test_one_that_stays_down_is_asked_after_pauses_that_double(make_app: MakeApp) -> None:
    client = make_app(hosts={"desk": nowhere(), "gpu": nowhere()}).client
    host, pauses = client.hosts[0], []
    for _ in range(8):
        await host.look()
        assert host.down is not None
        pauses.append(host.down.pause)
        host.down.until = 0.0
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60]


# Limits.


@pytest.fixture
def limited(make_app: MakeApp, desk: FakeOllama, gpu: FakeOllama) -> Client:
    told = {"desk": {"url": desk.url, "limit": 1}, "gpu": {"url": gpu.url, "limit": 1}}
    return make_app(hosts=told).client


async def test_at_its_limit_a_host_is_passed_over(
    limited: Client, desk: FakeOllama, gpu: FakeOllama
) -> None:
    await load(desk)
    held = await hold(limited, desk)
    await chat(limited)
    assert (asked(desk), asked(gpu)) == (1, 1)
    desk.release("/api/chat")
    await held


async def test_at_all_limits_they_wait_in_order(
    limited: Client, desk: FakeOllama, gpu: FakeOllama
) -> None:
    held = [await hold(limited, desk), await hold(limited, gpu)]
    order: list[int] = []
    told = [Progress(None, "starting") for _ in range(3)]

    async def ask(number: int) -> None:
        async with told[number]:
            await chat(limited)
        order.append(number)

    waiting = [asyncio.create_task(ask(number)) for number in range(3)]
    while not all("queued" in progress.message for progress in told):  # noqa: ASYNC110
        await asyncio.sleep(0.002)
    assert (asked(desk), asked(gpu)) == (1, 1)
    gpu.release("/api/chat")
    await asyncio.gather(*waiting)
    assert order == [0, 1, 2]
    assert (asked(desk), asked(gpu)) == (1, 4)
    desk.release("/api/chat")
    await asyncio.gather(*held)


async def test_who_stops_waiting_takes_no_place(
    limited: Client, desk: FakeOllama, gpu: FakeOllama
) -> None:
    held = [await hold(limited, desk), await hold(limited, gpu)]
    waiting = asyncio.create_task(chat(limited))
    await asyncio.sleep(0.02)
    waiting.cancel()
    await asyncio.wait([waiting])
    for daemon in (desk, gpu):
        daemon.release("/api/chat")
    await asyncio.gather(*held)
    assert [host.running for host in limited.hosts] == [0, 0]
    await asyncio.gather(*(chat(limited) for _ in range(4)))
    assert [host.running for host in limited.hosts] == [0, 0]


async def test_a_stream_that_is_left_gives_its_place_back(
    limited: Client, desk: FakeOllama
) -> None:
    desk.reply("/api/chat", PART, 5.0, DONE)
    stream = limited.stream("/api/chat", {"model": CHAT, "messages": []})
    assert (await anext(stream))["done"] is False
    assert limited.hosts[0].running == 1
    await stream.aclose()
    assert limited.hosts[0].running == 0


# Who names a host.


async def test_a_named_host_is_asked_and_no_other(
    hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    await load(desk)
    with errand("gpu", NAMES) as gone:
        await chat(hosts)
        assert [row["host"] for row in (await hosts.request("GET", "/api/ps"))["models"]] == ["gpu"]
        gpu.reply("/api/chat", cut=True)
        with pytest.raises(DaemonError):
            await chat(hosts)
    assert gone.answered == "gpu"
    assert asked(desk) == 0


async def test_a_model_that_is_elsewhere_is_told_so(
    hosts: Hosts, several: App, gpu: FakeOllama
) -> None:
    drop(gpu, THINKER)
    await several.catalog.installed()
    with errand("gpu", NAMES), pytest.raises(ModelNotFound) as raised:
        await chat(hosts, THINKER)
    assert raised.value.hint.startswith("It is on desk.")


def test_a_host_that_there_is_not() -> None:
    with (
        pytest.raises(InvalidArgument, match="no Ollama host 'gqu'") as raised,
        errand("gqu", NAMES),
    ):
        pass
    assert raised.value.details["nearest"] == ["gpu"]
    assert "desk, gpu" in raised.value.hint


def test_an_errand_within_another_goes_to_the_same_host() -> None:
    with errand("gpu", NAMES), errand(None, NAMES) as inner:
        assert inner.host == "gpu"


# The library of all.


async def test_the_catalog_has_the_models_of_all(
    several: App, desk: FakeOllama, gpu: FakeOllama
) -> None:
    drop(desk, THINKER)
    drop(gpu, EMBEDDER)
    rows = {row["name"]: row["hosts"] for row in await several.catalog.installed()}
    assert (rows[CHAT], rows[THINKER], rows[EMBEDDER]) == (["desk", "gpu"], ["gpu"], ["desk"])
    assert await several.catalog.find(THINKER)
    with errand("desk", NAMES):
        assert await several.catalog.find(THINKER) is None


async def test_the_window_is_that_of_the_host_that_would_be_asked(
    several: App, hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    await chat(hosts, options={"num_ctx": 2048})
    with errand("gpu", NAMES):
        await chat(hosts, options={"num_ctx": 8192})
    assert await several.catalog.window(CHAT) == 2048
    with errand("gpu", NAMES):
        assert await several.catalog.window(CHAT) == 8192
    held = await hold(hosts, desk)
    assert await several.catalog.window(CHAT) == 8192
    desk.release("/api/chat")
    await held


async def test_a_host_that_is_down_takes_only_its_own_models_away(
    several: App, gpu: FakeOllama
) -> None:
    gpu.reply("/api/tags", status=500)
    rows = await several.catalog.installed()
    assert {tuple(row["hosts"]) for row in rows} == {("desk",)}


CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/api/copy", {"source": CHAT, "destination": "mine"}),
    ("DELETE", "/api/delete", {"model": CHAT}),
]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_change_goes_where_the_model_is(
    method: str, path: str, body: dict[str, Any], hosts: Hosts, desk: FakeOllama, gpu: FakeOllama
) -> None:
    with pytest.raises(InvalidArgument, match="desk and gpu"):
        await hosts.request(method, path, body)
    assert not asked(desk, path) + asked(gpu, path)
    drop(desk, CHAT)
    for host in hosts.hosts:
        host.forget()
    await hosts.request(method, path, body)
    assert (asked(desk, path), asked(gpu, path)) == (0, 1)


async def test_a_pull_goes_to_the_first_and_shows_at_once(several: App, desk: FakeOllama) -> None:
    await several.catalog.installed()
    body = {"model": ELSEWHERE.name}
    _ = [part async for part in several.client.stream("/api/pull", body)]
    row = await several.catalog.find(ELSEWHERE.name)
    assert row is not None
    assert row["hosts"] == ["desk"]
