"""Limits of keys that replicas share over a real Valkey, and what holds while it is away."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
from redis.asyncio import Redis

from ollama_mcp_server.errors import RateLimited
from ollama_mcp_server.gateway.access.caller import Caller
from ollama_mcp_server.gateway.traffic.exchange import Exchange
from ollama_mcp_server.gateway.traffic.ledger import Ledger
from ollama_mcp_server.gateway.traffic.limits import Limits
from ollama_mcp_server.gateway.traffic.shared import Shared
from scripts.testbed import models, valkey
from tests.gateway.workshop import key_of
from tests.live.sessions import CACHE, PASSWORD
from tests.wire import Http

pytestmark = pytest.mark.live


#: A process that holds requests of the key `a`, and says so, until it is killed.
PROCESS = """
import asyncio, sys, time
from ollama_mcp_server.gateway.access.caller import Caller
from ollama_mcp_server.gateway.traffic.exchange import Exchange
from ollama_mcp_server.gateway.traffic.ledger import Ledger
from ollama_mcp_server.gateway.traffic.limits import Limits
from ollama_mcp_server.gateway.traffic.shared import Shared

async def hold(url, lasts, number):
    exchange = Exchange(Ledger(url, lasts=float(lasts)), time.monotonic, beat=0.1)
    limits = Limits(9, 9, counters=Shared(exchange, time.monotonic))
    caller = Caller("a", frozenset({"infer"}))
    held = [limits.place(caller) for _ in range(int(number))]
    for place in held:
        await place.__aenter__()
    print("there", flush=True)
    await asyncio.sleep(60)

asyncio.run(hold(*sys.argv[1:]))
"""


@pytest.fixture
async def replica(store: valkey.Valkey) -> AsyncIterator[Callable[..., Limits]]:
    """Make replicas over one Valkey; it is empty at first."""
    made: list[Limits] = []
    async with Redis.from_url(store.url) as client:
        await client.flushall()

    def make(
        url: str = store.url, *, parallel: int = 100, lasts: float = 30.0, patience: float = 10.0
    ) -> Limits:
        ledger = Ledger(url, patience=patience, lasts=lasts)
        exchange = Exchange(ledger, time.monotonic, beat=0.1, pause=0.2)
        made.append(Limits(parallel, 100, counters=Shared(exchange, time.monotonic)))
        return made[-1]

    yield make
    for limits in made:
        await limits.aclose()


def caller(name: str = "a", **limits: Any) -> Caller:
    return Caller(name, frozenset({"infer"}), **limits)


async def ask(limits: Limits, who: Caller, held: float = 0.0, tokens: int = 0) -> bool:
    """Make a request; return whether it was let in."""
    try:
        async with limits.place(who) as place:
            place.count(tokens)
            await asyncio.sleep(held)
    except RateLimited:
        return False
    return True


async def eventually(attempt: Callable[[], Any], seconds: float = 10.0) -> None:
    """Try until it is true."""
    with anyio.fail_after(seconds):
        while not await attempt():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_requests_of_a_minute_are_those_of_all_replicas(
    replica: Callable[..., Limits],
) -> None:
    who, replicas = caller(requests_per_minute=10), [replica(), replica()]
    answers = await asyncio.gather(*(ask(replicas[n % 2], who) for n in range(40)))
    assert sum(answers) == 10
    for limits in replicas:
        with pytest.raises(RateLimited) as refused:
            async with limits.place(who):
                pass
        assert "10 requests" in refused.value.message
        assert 1 <= refused.value.details["retry_after"] <= 60
    assert await ask(replicas[0], caller("b", requests_per_minute=10)), "others have their own"


async def test_requests_at_a_time_are_those_of_all_replicas(
    replica: Callable[..., Limits], store: valkey.Valkey
) -> None:
    who, replicas = caller(concurrency=3), [replica(), replica()]
    inside = most = let_in = 0
    told = set()

    async def request(limits: Limits) -> None:
        nonlocal inside, most, let_in
        try:
            async with limits.place(who):
                inside, let_in = inside + 1, let_in + 1
                most = max(most, inside)
                await asyncio.sleep(0.02)
                inside -= 1
        except RateLimited as error:
            told.add(error.message)

    for _ in range(5):
        await asyncio.gather(*(request(replicas[n % 2]) for n in range(20)))
    assert most == 3
    assert let_in >= 5
    assert told == {"the key a has 3 requests at a time already, all that it may"}
    async with Redis.from_url(store.url, decode_responses=True) as client:

        async def nothing_held() -> bool:
            return not [key async for key in client.scan_iter("ollama-mcp-server:*")]

        await eventually(nothing_held)


async def test_tokens_of_a_minute_are_those_of_all_replicas(
    replica: Callable[..., Limits],
) -> None:
    who, one, other = caller(tokens_per_minute=100), replica(), replica()
    assert await ask(one, who, tokens=60)
    assert await ask(other, who, tokens=60)  # 40 were left, and nobody knew how many it would take

    async def is_refused() -> bool:
        return not await ask(one, who)

    await eventually(is_refused)
    with pytest.raises(RateLimited, match="100 tokens") as refused:
        async with other.place(who):
            pass
    assert refused.value.details["retry_after"] > 50


async def test_the_next_turn_is_of_who_runs_least_on_all_replicas(
    replica: Callable[..., Limits],
) -> None:
    busy, full, turns = replica(), replica(parallel=1), []

    async def request(name: str) -> None:
        async with full.place(caller(name)):
            turns.append(name)

    async def is_known() -> bool:
        return full._counters._exchange.elsewhere == {"x": 0, "a": 2, "b": 0, "c": 0}

    async with (
        busy.place(caller("a")),
        busy.place(caller("a")),
        anyio.create_task_group() as group,
        full.place(caller("x")),
    ):
        for name in ("a", "b", "c", "a"):
            group.start_soon(request, name)
            await asyncio.sleep(0)
        await eventually(is_known)
        assert full.line.waiting == 4
    assert turns == ["b", "c", "a", "a"]


async def test_what_a_killed_replica_held_comes_back(
    replica: Callable[..., Limits], store: valkey.Valkey
) -> None:
    words = [sys.executable, "-c", PROCESS, store.url, "2.0", "2"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        try:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "there\n"
            limits, who = replica(lasts=2.0), caller(concurrency=2)
            await asyncio.sleep(2.2)  # longer than a lease lasts: they are renewed
            assert not await ask(limits, who)
        finally:
            process.kill()
    await eventually(lambda: ask(limits, who))


@pytest.mark.parametrize("how", ["frozen", "stopped"])
async def test_while_the_valkey_is_away_each_counts_by_itself_and_says_so_once(
    how: str, replica: Callable[..., Limits], caplog: pytest.LogCaptureFixture
) -> None:
    store = valkey.start(CACHE, password=PASSWORD)
    try:
        replicas = [replica(store.url, patience=0.5) for _ in range(2)]
        who = caller(requests_per_minute=5, concurrency=50)
        caplog.set_level(logging.INFO, "ollama_mcp_server")
        assert await ask(replicas[0], who)
        if how == "frozen":
            store.freeze()
        else:
            store.stop()
        with anyio.fail_after(10):
            one, other = [
                await asyncio.gather(*(ask(limits, who) for _ in range(20))) for limits in replicas
            ]
        assert sum(one) == 4, "its own counts have been kept all along"
        assert sum(other) == 5
        assert await ask(replicas[0], caller("b", concurrency=1))
        assert caplog.text.count("WARNING") == 2, "one in each replica"
        assert caplog.text.count("nothing answers at redis://127.0.0.1") == 2
        assert PASSWORD not in caplog.text

        if how == "frozen":
            store.thaw()
        else:
            store = valkey.start(CACHE, port=store.port, password=PASSWORD)
        only = caller("c", concurrency=1)
        async with replicas[0].place(only):  # counted by itself, and told once it is found again

            async def is_known() -> bool:
                return not await ask(replicas[1], only)

            await eventually(is_known)

        async def is_found_by_both() -> bool:
            return caplog.text.count("answers again") == 2

        await eventually(is_found_by_both)
        assert caplog.text.count("WARNING") == 2
    finally:
        store.stop()


async def test_a_valkey_that_has_lost_its_data_knows_soon_what_runs(
    replica: Callable[..., Limits],
) -> None:
    store = valkey.start(CACHE, password=PASSWORD)
    try:
        one, other = replica(store.url), replica(store.url)
        who, often = caller(concurrency=1), caller("b", requests_per_minute=1)
        assert [await ask(limits, often) for limits in (one, other)] == [True, False]
        async with one.place(who):
            store.stop()
            store = valkey.start(CACHE, port=store.port, password=PASSWORD)

            async def is_known() -> bool:
                return not await ask(other, who)

            await eventually(is_known)
        await eventually(lambda: ask(other, who))
        assert [await ask(limits, often) for limits in (one, other)] == [True, False]
    finally:
        store.stop()


async def test_who_goes_away_while_the_valkey_is_asked_leaves_nothing(
    replica: Callable[..., Limits], store: valkey.Valkey
) -> None:
    limits, who = replica(), caller(concurrency=1)
    assert await ask(limits, who)
    store.freeze()
    try:
        going = asyncio.create_task(ask(limits, who))
        await asyncio.sleep(0.05)
        going.cancel()
        await asyncio.wait([going])
        assert going.cancelled()
    finally:
        store.thaw()
    await eventually(lambda: ask(replica(), who))
    assert limits.present() == {}


async def test_a_valkey_that_refuses_is_as_good_as_none(
    replica: Callable[..., Limits], store: valkey.Valkey, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = replica(store.url.replace(PASSWORD, "wrong-password"))
    assert [await ask(wrong, caller(requests_per_minute=1)) for _ in range(2)] == [True, False]
    assert "refused the user name or the password" in caplog.text
    assert "wrong-password" not in caplog.text


def test_two_servers_hold_a_key_to_its_limits_together(
    store: valkey.Valkey, ollama_host: str, tmp_path: Path
) -> None:
    """Two processes of the command, as a balancer would have them, and one key."""
    secret, kept = key_of("ann", "infer", requests_per_minute=5)
    told = {
        "OLLAMA_HOST": ollama_host,
        "OLLAMA_MCP_STATE_URL": store.url.replace("redis://", "valkey://"),
        "OLLAMA_MCP_KEYS": json.dumps({"keys": [kept]}),
    }
    with ExitStack() as stack:
        with ThreadPoolExecutor() as pool:  # both at once
            started = pool.map(lambda _: Http(tmp_path, "--gateway", **told), range(2))
            replicas = [stack.enter_context(server) for server in started]
        urls = [f"http://{server.host}:{server.port}" for server in replicas]
        client = stack.enter_context(httpx.Client(trust_env=False, timeout=60))
        body = {"model": models.EMBED, "input": "one"}
        headers = {"Authorization": f"Bearer {secret}"}
        answers = [
            client.post(f"{urls[n % 2]}/api/embed", json=body, headers=headers) for n in range(8)
        ]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429] * 3
    assert 1 <= float(answers[-1].headers["retry-after"]) <= 60
