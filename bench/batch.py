"""Measure batches: the level found against the best fixed one, with 1 and 4 slots, in one run."""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import time
from collections.abc import Sequence

from ollama_mcp_server.app import App
from ollama_mcp_server.delegation.answer import Answer
from ollama_mcp_server.delegation.batch.engine import run_batch
from ollama_mcp_server.delegation.batch.pace import Pace
from ollama_mcp_server.progress import Progress
from ollama_mcp_server.settings import Settings
from scripts.testbed import cache, daemon, models

#: Requests at once that are tried beside the pace.
FIXED = (1, 2, 4, 8)
SLOTS = (1, 4)


class Fixed(Pace):
    """A pace that never changes."""

    def __init__(self, level: int) -> None:
        super().__init__(level)
        self.level = level

    def end(self, mark: int, seconds: float, work: float, worked: float | None = None) -> None:
        """Decide nothing."""


class Watched(Pace):
    """The pace, with the level after each item."""

    def __init__(self) -> None:
        super().__init__()
        self.levels: list[int] = []

    def end(self, mark: int, seconds: float, work: float, worked: float | None = None) -> None:
        """Decide, and note the level."""
        super().end(mark, seconds, work, worked)
        self.levels.append(self.level)

    @property
    def found(self) -> int:
        """The level at which most of the second half was done."""
        return statistics.mode(self.levels[len(self.levels) // 2 :])


def main(words: Sequence[str] | None = None) -> None:
    """Run each level in turn, and print a table of Markdown."""
    parser = argparse.ArgumentParser(prog="python -m bench.batch", description=__doc__)
    parser.add_argument("--items", type=int, default=100, help="items of a batch (%(default)s)")
    parser.add_argument("--runs", type=int, default=3, help="batches of each (%(default)s)")
    given = parser.parse_args(words)
    print("| slots | level found | items/s at it | best fixed | ratio | whole batch / best |")
    print("|---|---|---|---|---|---|")
    for slots in SLOTS:
        env = {"OLLAMA_NUM_PARALLEL": str(slots)}
        with daemon.start(cache.folder(), env=env) as ollama:
            print(asyncio.run(measured(ollama.url, slots, given.items, given.runs)), flush=True)


async def measured(url: str, slots: int, items: int, runs: int) -> str:
    """Return the row of the table for a daemon."""
    app = App(Settings(ollama_host=url))
    try:
        await batch(app, 4, Fixed(1))  # loads the model
        speeds: dict[int, list[float]] = {level: [] for level in FIXED}
        whole, levels = [], []
        for _ in range(runs):
            for level in FIXED:
                speeds[level].append(await batch(app, items, Fixed(level)))
            pace = Watched()
            whole.append(await batch(app, items, pace))
            levels.append(pace.found)
    finally:
        await app.aclose()
    fixed = {level: statistics.median(found) for level, found in speeds.items()}
    best = max(fixed, key=lambda level: fixed[level])
    found = statistics.median_low(levels)
    at_it = fixed[min(found, max(FIXED))]
    told = ", ".join(map(str, levels))
    return (
        f"| {slots} | {told} | {at_it:.2f} | {fixed[best]:.2f} at {best} "
        f"| {at_it / fixed[best]:.2f} | {statistics.median(whole) / fixed[best]:.2f} |"
    )


async def batch(app: App, items: int, pace: Pace) -> float:
    """Run a batch of items of uneven length; return the items done a second."""
    draw = random.Random(1)
    tokens = {f"Write a story about {number}.": draw.randint(4, 40) for number in range(items)}
    results: dict[int, object] = {}

    async def ask(prompt: str) -> Answer:
        body = {
            "model": models.CHAT,
            "messages": [{"role": "user", "content": prompt}],
            "options": {"num_predict": tokens[prompt]},
        }
        return await app.delegate.ask("/api/chat", body, Progress(None, ""))

    began = time.perf_counter()
    await run_batch(enumerate(tokens), ask, results.__setitem__, pace)
    took = time.perf_counter() - began
    if not all(isinstance(result, Answer) for result in results.values()):
        raise RuntimeError("an item failed")
    return len(results) / took


if __name__ == "__main__":
    main()
