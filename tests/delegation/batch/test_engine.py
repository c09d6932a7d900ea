"""The engine of a batch: order, isolation, bounds, cancellation."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator

import anyio
import pytest

from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.batch.engine import run_batch, work, worked
from ollama_mcp_server.delegation.batch.pace import Pace
from ollama_mcp_server.errors import (
    CapabilityMissing,
    DaemonUnreachable,
    ModelNotFound,
    OllamaMCPError,
    QueueFull,
    TimedOut,
    Unauthorized,
)

Results = dict[int, "Answer | OllamaMCPError"]


def items(count: int) -> Iterable[tuple[int, str]]:
    return ((number, f"item {number}") for number in range(count))


def answer(text: str, tokens: int = 10) -> Answer:
    return Answer(content=text, final={"done": True, "eval_count": tokens, "model": "m"})


class Fixed(Pace):
    """A pace that never changes."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.level = level

    def end(self, mark: int, seconds: float, work: float, worked: float | None = None) -> None:
        pass


class Model:
    """Answers after a moment, and counts who asks at once."""

    def __init__(self, **failures: OllamaMCPError) -> None:
        self.failures = failures
        self.asked: list[str] = []
        self.now = self.most = self.stopped = 0

    async def __call__(self, prompt: str) -> Answer:
        self.asked.append(prompt)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0.001)
            if error := self.failures.get(prompt.replace(" ", "_")):
                raise error
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)  # the daemon is told
            self.stopped += 1
            raise
        finally:
            self.now -= 1
        return answer(prompt.upper())


async def test_each_item_gets_its_answer() -> None:
    results: Results = {}
    model = Model()
    assert await run_batch(items(20), model, results.__setitem__, Fixed(4)) is None
    assert sorted(results) == list(range(20))
    assert all(results[number].content == f"ITEM {number}" for number in range(20))  # type: ignore[union-attr]
    assert model.asked == [f"item {number}" for number in range(20)]


async def test_nothing_to_do() -> None:
    assert await run_batch([], Model(), dict[int, object]().__setitem__) is None


@pytest.mark.parametrize("level", [1, 3])
async def test_no_more_at_once_than_the_pace_allows_nor_prompts_made_ahead(level: int) -> None:
    made, results = [0], Results()
    model = Model()

    def prompts() -> Iterator[tuple[int, str]]:
        for number, prompt in items(12):
            made[0] += 1
            assert made[0] - len(results) <= level
            yield number, prompt

    await run_batch(prompts(), model, results.__setitem__, Fixed(level))
    assert model.most == level


async def test_a_failure_is_its_item_s_own() -> None:
    results: Results = {}
    model = Model(item_1=TimedOut("late"), item_3=TimedOut("late"))
    assert await run_batch(items(6), model, results.__setitem__, Fixed(2)) is None
    assert [isinstance(results[number], Answer) for number in range(6)] == [
        True, False, True, False, True, True
    ]  # fmt: skip


@pytest.mark.parametrize(
    "kind", [DaemonUnreachable, ModelNotFound, CapabilityMissing, Unauthorized]
)
async def test_what_all_would_fail_with_stops_the_rest(kind: type[OllamaMCPError]) -> None:
    results: Results = {}

    async def fails(prompt: str) -> Answer:
        raise kind("no")

    error = await run_batch(items(100), fails, results.__setitem__)
    assert isinstance(error, kind)
    assert sorted(results) == [0, 1, 2]


async def test_a_few_such_failures_among_answers_stop_nothing() -> None:
    down = DaemonUnreachable("down")
    model = Model(item_2=down, item_3=down, item_5=down, item_6=down)
    results: Results = {}
    assert await run_batch(items(10), model, results.__setitem__) is None
    assert len(results) == 10


async def test_a_full_queue_makes_it_ask_less_at_once() -> None:
    pace = Fixed(8)
    await run_batch(items(1), Model(item_0=QueueFull("busy")), lambda *_: None, pace)
    assert pace.level == 4


@pytest.mark.parametrize("by", ["task", "scope"])
async def test_a_cancellation_stops_all_that_runs(by: str) -> None:
    model = Model()
    results: Results = {}

    async def endless(prompt: str) -> Answer:
        if prompt > "item 1":
            await asyncio.Event().wait()
        return await model(prompt)

    async def slow(prompt: str) -> Answer:
        try:
            return await endless(prompt)
        except asyncio.CancelledError:
            await asyncio.sleep(0.01)
            model.stopped += 1
            raise

    if by == "scope":
        with anyio.move_on_after(0.1):
            await run_batch(items(50), slow, results.__setitem__, Fixed(3))
    else:
        task = asyncio.create_task(run_batch(items(50), slow, results.__setitem__, Fixed(3)))
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert model.stopped == 3
    assert sorted(results) == [0, 1]
    assert len(asyncio.all_tasks()) == 1


async def test_what_cannot_take_a_result_stops_all_that_runs() -> None:
    model = Model()

    def full(index: int, result: object) -> None:
        raise TimedOut("the disk is full")

    with pytest.raises(TimedOut):
        await run_batch(items(50), model, full, Fixed(4))
    assert len(model.asked) == 4
    assert len(asyncio.all_tasks()) == 1


async def test_a_fault_of_ours_rises() -> None:
    async def broken(prompt: str) -> Answer:
        raise KeyError(prompt)

    with pytest.raises(KeyError):
        await run_batch(items(5), broken, lambda *_: None)


def test_work_counts_what_was_read_for_less() -> None:
    assert work({"eval_count": 10, "prompt_eval_count": 100}) == 20
    assert work({"eval_count": 10, "prompt_eval_count": 100, "prompt_eval_cached_count": 90}) == 11
    assert work({}) == 0


def test_the_time_in_the_queue_is_not_worked() -> None:
    final = {"total_duration": 9e9, "load_duration": 1e9, "prompt_eval_duration": 1e9}
    assert worked({**final, "eval_duration": 1e9}, 10) == 2.5
    assert worked({"total_duration": 9e9}, 10) is None
    assert worked({}, 10) is None
