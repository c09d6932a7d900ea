"""Counters that processes share, without a Valkey; `tests/live` has a real one."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
import time
from collections.abc import Collection
from typing import Any

import anyio
import pytest
from pydantic import SecretStr

from ollama_mcp_server.errors import OllamaMCPError, RateLimited
from ollama_mcp_server.gateway.access.caller import Caller
from ollama_mcp_server.gateway.traffic.counts import Counters, Counts, Standing
from ollama_mcp_server.gateway.traffic.exchange import Exchange
from ollama_mcp_server.gateway.traffic.limits import Limits
from ollama_mcp_server.gateway.traffic.shared import Shared, open_counters
from tests.conftest import EMBEDDER, MakeApp
from tests.gateway.serving import served
from tests.gateway.workshop import key_of

#: Port 1, where nothing listens.
NOBODY = SecretStr("valkey://:secret-word@127.0.0.1:1/0")


class Paper:
    """A ledger in memory, of one process, which fails and hangs as it is told."""

    lasts = 30.0
    where = "paper"

    def __init__(self) -> None:
        self.present: dict[str, set[str]] = {}
        self.running: dict[str, set[str]] = {}
        self.tokens: dict[str, int] = {}
        #: What callers have running at others.
        self.others: dict[str, int] = {}
        self.is_away = self.is_closed = False
        self.on = asyncio.Event()
        self.on.set()
        self.calls = 0
        #: Leases that were asked for.
        self.asked: list[str] = []

    async def _answer(self) -> None:
        self.calls += 1
        if self.is_away:
            raise OllamaMCPError("nothing answers at paper")
        await self.on.wait()

    async def admit(self, caller: Caller, lease: str) -> Standing:
        self.asked.append(lease)
        await self._answer()
        present = self.present.setdefault(caller.name, set())
        standing = Standing(len(present))
        if caller.concurrency is None or len(present) < caller.concurrency:
            present.add(lease)
        return standing

    async def settle(
        self, name: str, gone: Collection[str], waits: Collection[str], runs: Collection[str]
    ) -> int:
        await self._answer()
        self.present[name] = (self.present.get(name, set()) | {*waits, *runs}) - {*gone}
        self.running[name] = set(runs)
        return self.others.get(name, 0)

    async def spend(self, name: str, limit: int, tokens: int) -> None:
        await self._answer()
        self.tokens[name] = self.tokens.get(name, 0) + tokens

    async def aclose(self) -> None:
        self.is_closed = True


class Scene:
    """A process over such a ledger."""

    def __init__(self, parallel: int = 9, *, beat: float = 0.02, pause: float = 0.02) -> None:
        self.paper = Paper()
        self.exchange = Exchange(self.paper, time.monotonic, beat, pause)  # type: ignore[arg-type]
        self.limits = Limits(parallel, 99, counters=Shared(self.exchange, time.monotonic))

    async def until(self, condition: Any) -> None:
        """Wait until something is so."""
        with anyio.fail_after(5):
            while not condition():  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def caller(name: str = "a", **limits: Any) -> Caller:
    return Caller(name, frozenset({"infer"}), **limits)


async def ask(limits: Limits, who: Caller, tokens: int = 0) -> bool:
    try:
        async with limits.place(who) as place:
            place.count(tokens)
    except RateLimited:
        return False
    return True


# --- which counters -------------------------------------------------------------------------------


@pytest.mark.parametrize("url", [None, "memory", "disk", "file:///tmp/kept", "nonsense"])
def test_one_process_counts_by_itself(url: str | None) -> None:
    assert isinstance(open_counters(SecretStr(url) if url else None), Counts)


@pytest.mark.parametrize("scheme", ["redis", "rediss", "valkey", "valkeys", "VALKEY"])
async def test_a_valkey_is_shared(scheme: str) -> None:
    counters = open_counters(SecretStr(f"{scheme}://127.0.0.1:1"))
    assert isinstance(counters, Shared)
    await counters.aclose()


def test_nothing_is_loaded_where_nothing_is_shared() -> None:
    code = (
        "import sys, ollama_mcp_server.gateway.traffic.shared as shared; "
        "shared.open_counters(None); "
        "print([name for name in ('limits', 'redis', 'key_value') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert ran.stdout == "[]\n", ran.stderr


def test_a_wrong_address_is_told_without_its_password(caplog: pytest.LogCaptureFixture) -> None:
    counters = open_counters(SecretStr("redis://:secret-word@host:port/0"))
    assert isinstance(counters, Counts)
    assert "OLLAMA_MCP_STATE_URL is no valid address" in caplog.text
    assert "secret-word" not in caplog.text


@pytest.mark.parametrize("package", ["limits", "redis"])
def test_a_missing_package_is_named(
    package: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    assert isinstance(open_counters(NOBODY), Counts)
    assert f"the package {package}, which is not installed" in caplog.text
    assert "pip install 'ollama-mcp-server[redis]'" in caplog.text


# --- a Valkey that is away ------------------------------------------------------------------------


async def test_limits_hold_in_this_process_where_no_valkey_answers(
    caplog: pytest.LogCaptureFixture,
) -> None:
    limits = Limits(4, 4, counters=open_counters(NOBODY))
    who = caller(requests_per_minute=3)
    assert [await ask(limits, who) for _ in range(5)] == [True] * 3 + [False] * 2
    async with limits.place(caller("b", concurrency=1)):
        assert not await ask(limits, caller("b", concurrency=1))
    assert await ask(limits, caller("c", tokens_per_minute=5), 5)
    assert not await ask(limits, caller("c", tokens_per_minute=5))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "127.0.0.1:1" in record.getMessage()
    assert "secret-word" not in caplog.text
    await limits.aclose()
    assert limits.present() == {}


async def test_a_gateway_holds_its_keys_to_their_limits_where_no_valkey_answers(
    make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    secret, kept = key_of("ann", "infer", requests_per_minute=2)
    app = make_app(keys=json.dumps({"keys": [kept]}), state_url=NOBODY.get_secret_value())
    body = {"model": EMBEDDER, "input": "one"}
    async with served(app, token=secret) as client:
        answers = [await client.post("/api/embed", json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert caplog.text.count("each process counts the limits of keys by itself") == 1


async def test_what_runs_is_told_once_the_ledger_is_back() -> None:
    scene = Scene()
    scene.paper.is_away = True
    async with scene.limits.place(caller()):
        scene.paper.is_away = False
        await scene.until(lambda: scene.paper.running.get("a"))
        assert len(scene.paper.present["a"]) == 1
    await scene.until(lambda: not scene.paper.present["a"])
    await scene.limits.aclose()


async def test_nobody_waits_for_a_ledger_that_is_away() -> None:
    scene = Scene(pause=60)
    scene.paper.is_away = True
    for _ in range(50):
        assert await ask(scene.limits, caller())
    assert scene.paper.calls == 1, "only the first has asked"
    await scene.limits.aclose()
    assert scene.paper.calls == 1


async def test_none_waits_longer_than_the_first_that_got_no_answer() -> None:
    scene = Scene(pause=60)
    scene.paper.on.clear()
    asking = [asyncio.create_task(ask(scene.limits, caller())) for _ in range(9)]
    await scene.until(lambda: len(scene.paper.asked) == 9)
    scene.paper.is_away = True
    assert await ask(scene.limits, caller())
    with anyio.fail_after(5):
        assert await asyncio.gather(*asking) == [True] * 9
    await scene.limits.aclose()


async def test_leases_that_are_believed_no_more_are_forgotten() -> None:
    scene = Scene()
    scene.paper.is_away, scene.paper.lasts = True, 0.05
    assert await ask(scene.limits, caller())
    await scene.until(lambda: scene.exchange._task is not None and scene.exchange._task.done())
    assert not scene.exchange._news
    await scene.limits.aclose()


# --- what is told ---------------------------------------------------------------------------------


async def test_leases_are_returned_and_tokens_told_after_the_request() -> None:
    scene = Scene(beat=60)
    assert await ask(scene.limits, caller(tokens_per_minute=100), 7)
    await scene.until(lambda: scene.paper.tokens == {"a": 7} and not scene.paper.present["a"])
    await scene.limits.aclose()


async def test_one_who_goes_away_while_it_is_asked_leaves_no_lease() -> None:
    scene = Scene(beat=60)
    scene.paper.on.clear()
    going = asyncio.create_task(ask(scene.limits, caller()))
    await scene.until(lambda: scene.paper.asked)
    going.cancel()
    await asyncio.wait([going])
    assert going.cancelled()
    scene.paper.present["a"] = set(scene.paper.asked)  # it was taken all the same
    scene.paper.on.set()
    await scene.until(lambda: not scene.paper.present["a"])
    assert scene.limits.present() == {}
    await scene.limits.aclose()


async def test_one_refused_leaves_no_lease() -> None:
    scene = Scene()
    who = caller(concurrency=1)
    async with scene.limits.place(who):
        assert not await ask(scene.limits, who)
        await scene.until(lambda: not scene.exchange._news)
        assert len(scene.paper.present["a"]) == 1
    await scene.until(lambda: not scene.paper.present["a"])
    await scene.limits.aclose()


async def test_the_end_tells_what_is_left_and_closes() -> None:
    scene = Scene(beat=60)
    assert await ask(scene.limits, caller(tokens_per_minute=100), 7)
    await scene.limits.aclose()
    assert scene.paper.present == {"a": set()}
    assert scene.paper.tokens == {"a": 7}
    assert scene.paper.is_closed


async def test_the_end_does_not_wait_for_a_ledger_that_hangs() -> None:
    scene = Scene()
    assert await ask(scene.limits, caller())
    scene.paper.on.clear()
    with anyio.fail_after(5):
        await scene.limits.aclose()
    assert scene.paper.is_closed


async def test_a_request_that_ends_after_the_end_begins_nothing() -> None:
    scene = Scene()
    async with scene.limits.place(caller()):
        await scene.limits.aclose()
        calls = scene.paper.calls
    await asyncio.sleep(0.05)
    assert scene.paper.calls == calls


async def test_nothing_goes_on_when_there_is_nothing_to_tell() -> None:
    scene = Scene()
    assert await ask(scene.limits, caller())
    await scene.until(lambda: scene.exchange._task is not None and scene.exchange._task.done())
    assert not scene.exchange.held
    assert not scene.exchange.elsewhere
    await scene.limits.aclose()


# --- turns ----------------------------------------------------------------------------------------


async def test_who_runs_elsewhere_waits_behind_those_who_do_not() -> None:
    scene = Scene(parallel=1, beat=60)
    scene.paper.others = {"a": 2}
    turns: list[str] = []

    async def request(name: str) -> None:
        async with scene.limits.place(caller(name)):
            turns.append(name)

    async with anyio.create_task_group() as group, scene.limits.place(caller("x")):
        for number, name in enumerate(["a", "b", "c", "a"], 1):
            group.start_soon(request, name)
            await scene.until(lambda: scene.limits.line.waiting == number)  # noqa: B023
        await scene.until(lambda: scene.exchange.elsewhere.keys() >= {"a", "b", "c"})
    assert turns == ["b", "c", "a", "a"]
    await scene.limits.aclose()


async def test_counters_do_as_the_protocol_says() -> None:
    made: list[Counters] = [Counts(time.monotonic), open_counters(NOBODY)]
    for counters in made:
        stay = await counters.come(caller())
        counters.look(stay)
        assert counters.present() == {"a": 1}
        counters.go(stay)
        assert counters.present() == {}
        assert counters.pick(["b", "a"]) == "b"
        await counters.aclose()
