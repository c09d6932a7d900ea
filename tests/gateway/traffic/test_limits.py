"""Limits: rates, requests at a time, a bounded line that is fair, places that come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import anyio
import pytest

from ollama_mcp_server.errors import OllamaMCPError, PermissionDenied, QueueFull, RateLimited
from ollama_mcp_server.gateway.access.caller import Caller
from ollama_mcp_server.gateway.traffic.limits import Limits, Place


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def caller(name: str = "a", **limits: Any) -> Caller:
    return Caller(name, frozenset({"infer"}), **limits)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limits(clock: Clock) -> Limits:
    return Limits(2, 4, clock=clock)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


class Crowd:
    """Requests that hold their place until they are told to leave, in the order they got it."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.inside: list[str] = []
        self.refused: list[tuple[str, OllamaMCPError]] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}
        self._doors: dict[str, asyncio.Event] = {}

    async def come(self, *requests: str, **allowed: Any) -> None:
        """Let requests come, each named by its caller and a number: a1."""
        for request in requests:
            self._doors[request] = asyncio.Event()
            self.tasks[request] = asyncio.create_task(self._run(request, allowed))
            await settle()

    async def _run(self, request: str, allowed: dict[str, Any]) -> None:
        try:
            async with self.limits.place(caller(request[0], **allowed)):
                self.inside.append(request)
                await self._doors[request].wait()
        except OllamaMCPError as error:
            self.refused.append((request, error))

    async def leave(self, request: str) -> None:
        self._doors[request].set()
        await settle()

    async def vanish(self, request: str) -> None:
        self.tasks[request].cancel()
        await settle()


@pytest.fixture
async def crowd(limits: Limits) -> AsyncIterator[Crowd]:
    crowd = Crowd(limits)
    yield crowd
    for task in crowd.tasks.values():
        task.cancel()
    await settle()
    line = limits.line
    assert (line.running, line.waiting, limits.present()) == (0, 0, {})


# --- the line -------------------------------------------------------------------------------------


async def test_as_many_as_there_are_places_come_in_and_the_others_wait(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "a3", "a4")
    assert crowd.inside == ["a1", "a2"]
    assert (crowd.limits.line.running, crowd.limits.line.waiting) == (2, 2)
    assert crowd.limits.present() == {"a": 4}
    await crowd.leave("a2")
    assert crowd.inside == ["a1", "a2", "a3"]


async def test_callers_who_wait_are_served_in_turn(crowd: Crowd) -> None:
    await crowd.come("x1", "x2")  # have the places
    await crowd.come("a1", "a2", "b1", "c1")
    for request in ("x1", "x2", "a1", "b1", "c1"):
        await crowd.leave(request)
    assert crowd.inside == ["x1", "x2", "a1", "b1", "c1", "a2"]


async def test_nobody_comes_in_before_those_who_wait(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "b1")
    await crowd.leave("a1")
    await crowd.come("c1")
    assert crowd.inside == ["a1", "a2", "b1"]


async def test_a_full_line_refuses_and_says_when_to_come_again(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "a3", "a4", "a5", "a6", "a7")
    [(request, error)] = crowd.refused
    assert request == "a7"
    assert isinstance(error, QueueFull)
    assert error.status == 503
    assert 1 <= error.details["retry_after"] <= 60
    assert crowd.limits.line.waiting == 4


async def test_nobody_can_fill_the_line_alone(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "a3", "a4", "a5", "a6")  # a has the places and the line
    await crowd.come("b1")
    assert [request for request, _ in crowd.refused] == ["a6"]  # its newest gives way
    await crowd.come("b2")
    assert [request for request, _ in crowd.refused] == ["a6", "a5"]
    await crowd.come("b3", "a7")  # two each: whoever comes now is refused
    assert [request for request, _ in crowd.refused] == ["a6", "a5", "b3", "a7"]
    assert crowd.limits.line.waiting == 4
    await crowd.leave("a1")
    await crowd.leave("a2")
    assert crowd.inside == ["a1", "a2", "a3", "b1"]


async def test_without_a_line_nobody_waits(clock: Clock) -> None:
    limits = Limits(1, 0, clock=clock)
    async with limits.place(caller()):
        with pytest.raises(QueueFull):
            async with limits.place(caller("b")):
                pass
    async with limits.place(caller("b")):
        pass


async def test_the_wait_that_is_told_grows_with_how_long_answers_take(clock: Clock) -> None:
    async def told() -> float:
        limits.line.queue = 0
        with pytest.raises(QueueFull) as refused:
            async with limits.place(caller("b")):
                pass
        return refused.value.details["retry_after"]

    limits = Limits(1, 0, clock=clock)
    async with limits.place(caller()):
        at_first = await told()
    for _ in range(20):
        async with limits.place(caller()):
            clock.now += 30
    async with limits.place(caller()):
        later = await told()
    assert at_first < 2 < 20 < later <= 60


# --- who goes away --------------------------------------------------------------------------------


async def test_who_goes_away_while_waiting_frees_his_place(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "b1", "c1")
    await crowd.vanish("b1")
    assert crowd.limits.line.waiting == 1
    await crowd.leave("a1")
    assert crowd.inside == ["a1", "a2", "c1"]


async def test_who_goes_away_inside_frees_his_place(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "b1")
    await crowd.vanish("a1")
    assert crowd.inside == ["a1", "a2", "b1"]
    assert crowd.limits.present() == {"a": 1, "b": 1}


async def test_a_turn_that_comes_as_its_owner_goes_is_passed_on(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "b1", "c1")
    crowd._doors["a1"].set()
    await asyncio.sleep(0)  # a1 leaves: b1's turn is set, but b1 has not run since
    crowd.tasks["b1"].cancel()
    await settle()
    assert "b1" not in crowd.inside
    assert crowd.inside[-1] == "c1"
    assert crowd.limits.line.running == 2


async def test_one_who_goes_as_the_place_is_left_is_passed_over(crowd: Crowd) -> None:
    await crowd.come("a1", "a2", "b1", "c1")
    crowd.tasks["b1"].cancel()
    crowd._doors["a1"].set()
    await settle()
    assert crowd.inside == ["a1", "a2", "c1"]


async def test_many_come_and_go_and_nothing_is_left(clock: Clock) -> None:
    limits = Limits(3, 50, clock=clock)
    most = 0

    async def request(number: int) -> None:
        nonlocal most
        with anyio.move_on_after(0.02 if number % 3 else 0):
            try:
                async with limits.place(caller("abcde"[number % 5])):
                    most = max(most, limits.line.running)
                    await asyncio.sleep(0.001 * (number % 7))
            except QueueFull:
                pass

    await asyncio.gather(*(request(number) for number in range(400)))
    assert most == 3
    assert (limits.line.running, limits.line.waiting, limits.present()) == (0, 0, {})
    assert not limits.line._lines


async def test_a_place_may_be_left_in_another_task(limits: Limits) -> None:
    # as a streamed answer is, whose generator is closed by the server
    @asynccontextmanager
    async def answer() -> AsyncIterator[Place]:
        async with limits.place(caller()) as place:
            yield place

    def enter(of: AbstractAsyncContextManager[Place]) -> asyncio.Task[Place]:
        return asyncio.create_task(of.__aenter__())  # type: ignore[arg-type]

    stream = answer()
    await enter(stream)
    assert limits.line.running == 1
    await stream.__aexit__(None, None, None)
    assert limits.line.running == 0


async def test_a_slow_reader_need_not_hold_his_place(limits: Limits) -> None:
    async with limits.place(caller()) as place:
        place.leave()
        assert limits.line.running == 0
        place.leave()
        assert limits.present() == {"a": 1}  # his own limits still count him
    assert (limits.line.running, limits.present()) == (0, {})


async def test_an_error_inside_frees_the_place(limits: Limits) -> None:
    with pytest.raises(ValueError, match="mine"):
        async with limits.place(caller()):
            raise ValueError("mine")
    assert (limits.line.running, limits.present()) == (0, {})


# --- a key's own limits ---------------------------------------------------------------------------


async def ask(limits: Limits, who: Caller, tokens: int = 0) -> None:
    async with limits.place(who) as place:
        place.count(tokens)


async def refusal(limits: Limits, who: Caller) -> RateLimited:
    with pytest.raises(RateLimited) as refused:
        await ask(limits, who)
    assert refused.value.status == 429
    return refused.value


async def test_requests_a_minute(limits: Limits, clock: Clock) -> None:
    who = caller(requests_per_minute=2)
    await ask(limits, who)
    clock.now += 20
    await ask(limits, who)
    error = await refusal(limits, who)
    assert error.details["retry_after"] == 40
    assert "2 requests" in error.message
    await ask(limits, caller("b", requests_per_minute=2))  # others have their own
    clock.now += 40
    await ask(limits, who)


async def test_refused_requests_do_not_lengthen_the_wait(limits: Limits, clock: Clock) -> None:
    who = caller(requests_per_minute=1)
    await ask(limits, who)
    for _ in range(10):
        await refusal(limits, who)
    clock.now += 60
    await ask(limits, who)


async def test_tokens_a_minute_are_counted_afterwards(limits: Limits, clock: Clock) -> None:
    who = caller(tokens_per_minute=100)
    await ask(limits, who, 60)
    clock.now += 15
    await ask(limits, who, 60)  # 40 were left, and nobody knew how many it would take
    error = await refusal(limits, who)
    assert "100 tokens" in error.message
    assert error.details["retry_after"] == 45
    clock.now += 45
    await ask(limits, who, 100)
    await refusal(limits, who)


async def test_tokens_count_after_the_place_is_left_too(limits: Limits) -> None:
    who = caller(tokens_per_minute=10)
    async with limits.place(who) as place:
        pass
    place.count(10)
    await refusal(limits, who)


async def test_requests_at_a_time_count_those_that_wait(limits: Limits) -> None:
    crowd = Crowd(limits)
    await crowd.come("a1", "a2", "a3", "a4", concurrency=3)
    [(request, error)] = crowd.refused
    assert (request, error.status) == ("a4", 429)
    assert error.details["retry_after"] >= 1
    await crowd.leave("a1")
    await crowd.come("a5", concurrency=3)
    assert len(crowd.refused) == 1
    for task in crowd.tasks.values():
        task.cancel()


async def test_limits_that_change_count_at_once(limits: Limits) -> None:
    await ask(limits, caller(requests_per_minute=5))
    await refusal(limits, caller(requests_per_minute=1))


async def test_a_model_that_is_not_the_callers_gets_no_place(limits: Limits) -> None:
    who = caller(models=("qwen3:*",), requests_per_minute=1)
    with pytest.raises(PermissionDenied):
        async with limits.place(who, "llama3.2:3b"):
            pass
    async with limits.place(who, "qwen3:8b"):  # and nothing was counted
        pass


# --- what is told ---------------------------------------------------------------------------------


class Book:
    """Writes down what happens."""

    def __init__(self) -> None:
        self.lines: list[tuple[Any, ...]] = []

    def admitted(self, caller: Caller, model: str | None, waited: float) -> None:
        self.lines.append(("admitted", caller.name, model, waited))

    def refused(self, caller: Caller, model: str | None, error: OllamaMCPError) -> None:
        self.lines.append(("refused", caller.name, model, error.code))

    def left(self, caller: Caller, model: str | None, held: float, tokens: int) -> None:
        self.lines.append(("left", caller.name, model, held, tokens))


async def test_the_watch_is_told_once_of_everything(clock: Clock) -> None:
    book = Book()
    limits = Limits(1, 0, clock=clock, watch=book)
    async with limits.place(caller(), "m") as place:
        clock.now += 3
        place.count(7)
        place.leave()
        async with limits.place(caller("b"), "m"):
            with pytest.raises(QueueFull):
                async with limits.place(caller("c"), "m"):
                    pass
    with pytest.raises(RateLimited):
        async with (
            limits.place(caller("d", concurrency=1)),
            limits.place(caller("d", concurrency=1)),
        ):
            pass
    assert book.lines == [
        ("admitted", "a", "m", 0.0),
        ("left", "a", "m", 3.0, 7),
        ("admitted", "b", "m", 0.0),
        ("refused", "c", "m", "queue_full"),
        ("left", "b", "m", 0.0, 0),
        ("admitted", "d", None, 0.0),
        ("refused", "d", None, "rate_limited"),
        ("left", "d", None, 0.0, 0),
    ]


async def test_memory_does_not_grow_with_requests(limits: Limits, clock: Clock) -> None:
    for number in range(1000):
        clock.now += 1
        await ask(limits, caller("ab"[number % 2]), 5)
    assert set(limits._counters._uses) == {"a", "b"}
    assert not limits.line._lines
