"""How many at once, on daemons simulated in virtual time."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from ollama_mcp_server.delegation.batch.pace import MOST, Measure, Pace, following

#: Tokens a second that a daemon writes in all, with so many requests in its slots.
Speed = Callable[[int], float]
#: What an item is to us, and what it costs the daemon, both in tokens.
Item = tuple[float, float]

CPU = {1: 100.0, 2: 135.0, 3: 155.0, 4: 170.0}
SPEEDS: dict[str, Speed] = {
    "cpu": lambda slots: CPU.get(slots, 170.0),
    "gpu": lambda slots: 100 * slots**0.85,
}


def even(_: random.Random) -> Item:
    return 50, 60


def uneven(draw: random.Random) -> Item:
    """A few tokens, or hundreds; and some that are dearer than others."""
    tokens = max(2.0, draw.lognormvariate(3.5, 1))
    return tokens, (tokens + 4) * draw.uniform(0.85, 1.15)


@dataclass
class Daemon:
    """Works on so many requests at once, the others wait in a queue."""

    slots: int
    speed: Speed
    load: float = 5.0
    #: Whether it says how long it worked on an item, as Ollama does.
    tells: bool = True
    now: float = 0.0
    work: list[tuple[float, int]] = field(default_factory=list)
    begun: dict[int, float] = field(default_factory=dict)

    def run(self, items: list[Item], level: int | Pace) -> tuple[float, list[int]]:
        """Answer all items; return the seconds after the load, and the level after each."""
        pace = level if isinstance(level, Pace) else None
        sent, ended = 0, 0
        begun: dict[int, tuple[int, float]] = {}
        levels: list[int] = []
        while ended < len(items):
            allowed = pace.level if pace else level
            while sent < len(items) and sent - ended < allowed:
                begun[sent] = (pace.begin() if pace else 0), self.now
                self.work.append((items[sent][1], sent))
                sent += 1
            self.now += 0 if ended else self.load
            item = self.step()
            ended += 1
            if pace:
                mark, began = begun[item]
                worked = self.now - self.begun[item] if self.tells else None
                pace.end(mark, self.now - began, items[item][0], worked)
                levels.append(pace.level)
        return self.now - self.load, levels

    def step(self) -> int:
        """Go on to the end of one request; return which it was."""
        busy = self.work[: self.slots]
        for _, item in busy:
            self.begun.setdefault(item, self.now)
        each = self.speed(len(busy)) / len(busy)
        cost, item = min(busy)
        self.now += cost / each
        rest = [(left - cost, other) for left, other in busy if other != item]
        self.work = rest + self.work[self.slots :]
        return item


def drawn(kind: Callable[[random.Random], Item], seed: int, count: int = 200) -> list[Item]:
    draw = random.Random(seed)
    return [kind(draw) for _ in range(count)]


def most(levels: list[int]) -> int:
    """The level at which most of the second half of a batch was done."""
    half = levels[len(levels) // 2 :]
    return max(set(half), key=half.count)


@pytest.mark.parametrize("tells", [True, False])
@pytest.mark.parametrize("kind", [even, uneven])
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("slots", [1, 2, 4, 8])
def test_the_level_found_is_nearly_as_good_as_the_best(
    slots: int, speed: str, kind: Callable[[random.Random], Item], tells: bool
) -> None:
    for seed in range(20):
        items = drawn(kind, seed)
        found = most(Daemon(slots, SPEEDS[speed], tells=tells).run(items, Pace())[1])
        times = {
            level: Daemon(slots, SPEEDS[speed]).run(items, level)[0]
            for level in {1, 2, 3, 4, 6, 8, 16, found}
        }
        assert min(times.values()) / times[found] >= 0.95, (seed, found, times)


@pytest.mark.parametrize(("slots", "found"), [(1, 1), (2, 2), (4, 4)])
def test_it_settles_at_the_number_of_slots(slots: int, found: int) -> None:
    for speed in SPEEDS.values():
        assert most(Daemon(slots, speed).run(drawn(even, 0), Pace())[1]) == found


@pytest.mark.parametrize("slots", [1, 2, 4])
def test_it_settles_where_few_have_to_queue(slots: int) -> None:
    for seed in range(20):
        _, levels = Daemon(slots, SPEEDS["cpu"]).run(drawn(uneven, seed), Pace())
        assert most(levels) <= 2 * slots


@pytest.mark.parametrize("kind", [even, uneven])
def test_finding_it_costs_little(kind: Callable[[random.Random], Item]) -> None:
    ratios = []
    for seed in range(20):
        items = drawn(kind, seed)
        took, _ = Daemon(4, SPEEDS["cpu"]).run(items, Pace())
        best, _ = Daemon(4, SPEEDS["cpu"]).run(items, 4)
        ratios.append(best / took)
    assert sum(ratios) / len(ratios) >= 0.95


def test_a_load_of_a_minute_counts_for_nothing() -> None:
    items = drawn(uneven, 1)
    slow, quick = (Daemon(4, SPEEDS["cpu"], load).run(items, Pace()) for load in (60.0, 0.0))
    assert slow[1] == quick[1]


def test_one_endless_item_holds_nothing_up() -> None:
    items = drawn(even, 0)
    items[6] = (10_000, 12_000)
    assert most(Daemon(4, SPEEDS["cpu"]).run(items, Pace())[1]) >= 4


def test_it_keeps_to_the_most() -> None:
    for most_ in (1, 3, MOST):
        _, levels = Daemon(64, lambda slots: 100.0 * slots).run(drawn(even, 0), Pace(most_))
        assert max(levels) <= most_


def test_it_steps_back_where_more_at_once_is_slower() -> None:
    def swapping(slots: int) -> float:
        return {1: 100.0, 2: 180.0}.get(slots, 60.0)

    assert most(Daemon(8, swapping).run(drawn(even, 0), Pace())[1]) == 2


def test_items_too_short_to_mean_anything_change_nothing() -> None:
    pace = Pace()
    for _ in range(50):
        pace.end(pace.begin(), 0.001, 10)
    assert pace.level == 1


def test_items_without_any_work_change_nothing() -> None:
    pace = Pace()
    for _ in range(50):
        pace.end(pace.begin(), 1, 0)
    assert (pace.level, pace.measures()) == (1, {})


def test_a_refusal_halves_it_for_good() -> None:
    pace = Pace()
    while pace.level < 8:
        pace.end(pace.begin(), 1, 10)
    pace.refuse()
    assert pace.level == 4
    for _ in range(500):
        pace.end(pace.begin(), 1, 10)
    assert pace.level <= 4


@pytest.mark.parametrize(
    ("level", "rates", "looks", "next_level"),
    [
        (1, {1: 10}, 0.9, 1),  # not known well enough
        (1, {1: 10}, 1, 2),
        (2, {1: 10, 2: 10.6}, 1, 4),
        (2, {1: 10, 2: 10.4}, 3, 2),  # not worth it so far; it is given time
        (2, {1: 10, 2: 10.4}, 4, 1),
        (1, {1: 10, 2: 10.4}, 1, 1),  # settled
        (1, {1: 10, 2: 10.4}, 8, 2),  # after a while it is tried again
        (1, {1: 9, 2: 10.4}, 1, 2),  # the start was a lucky one
        (4, {2: 10, 4: 20}, 9, 4),  # no more are allowed
        (4, {4: 20}, 1, 4),
    ],
)
def test_decisions(level: int, rates: dict[int, float], looks: float, next_level: int) -> None:
    measures = {tried: Measure(rate) for tried, rate in rates.items()}
    assert following(level, measures, 4, looks, 8) == next_level


def test_where_requests_queue_more_are_no_use() -> None:
    measures = {1: Measure(10), 2: Measure(12, share=0.5)}
    assert following(2, measures, 16, 9, 8) == 2  # a gain, such as of pauses between requests
    measures = {1: Measure(10), 2: Measure(10, share=0.5)}
    assert following(2, measures, 16, 2, 8) == 1
    assert following(1, measures, 16, 99, 8) == 1
