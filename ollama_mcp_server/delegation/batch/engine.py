"""Many prompts at once: as many as the daemon takes best, each one's failure its own."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import anyio

from ...errors import (
    CapabilityMissing,
    DaemonUnreachable,
    ModelNotFound,
    OllamaMCPError,
    QueueFull,
    Unauthorized,
)
from ..answer import Answer
from .pace import Pace

#: Failures that every item would have.
COMMON = (DaemonUnreachable, ModelNotFound, CapabilityMissing, Unauthorized)
#: After so many of them in a row the rest is not tried.
IN_A_ROW = 3
#: To read a token takes about this share of what it takes to write one.
READING = 0.1

#: Asks a model one prompt.
Ask = Callable[[str], Awaitable[Answer]]
#: Takes an item's result as it comes, with the item's index.
Take = Callable[[int, Answer | OllamaMCPError], None]


async def run_batch(
    items: Iterable[tuple[int, str]], ask: Ask, take: Take, pace: Pace | None = None
) -> OllamaMCPError | None:
    """Ask for each item, and give its answer or its error to `take` as it comes.

    Items begin in their order, and no more of them at once than `pace` allows. Where it is
    cancelled, or `take` fails, the requests under way are stopped, at the daemon as well.

    Returns:
        What every item would fail with, after a few had in a row: the rest was not tried; None
        when all were.
    """
    pace = pace or Pace()
    waiting = iter(items)
    running: dict[asyncio.Task[Answer], tuple[int, int, float]] = {}
    in_a_row = 0
    common: OllamaMCPError | None = None
    try:
        while True:
            while common is None and len(running) < pace.level:
                item = next(waiting, None)
                if item is None:
                    break
                task = asyncio.create_task(_answer(ask, item[1]))
                running[task] = item[0], pace.begin(), time.monotonic()
            if not running:
                return common
            ended, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(ended, key=lambda task: running[task]):
                index, mark, began = running.pop(task)
                result = _outcome(task)
                if isinstance(result, Answer):
                    seconds = time.monotonic() - began
                    pace.end(mark, seconds, work(result.final), worked(result.final, seconds))
                elif isinstance(result, QueueFull):
                    pace.refuse()
                in_a_row = in_a_row + 1 if isinstance(result, COMMON) else 0
                if isinstance(result, OllamaMCPError) and in_a_row >= IN_A_ROW:
                    common = result
                take(index, result)
    finally:
        await _stop(running)


async def _answer(ask: Ask, prompt: str) -> Answer:
    return await ask(prompt)


def _outcome(task: asyncio.Task[Answer]) -> Answer | OllamaMCPError:
    """Return what an ended task came to; what is no error of ours is a fault, and rises."""
    try:
        return task.result()
    except OllamaMCPError as error:
        return error


async def _stop(running: Iterable[asyncio.Task[Answer]]) -> None:
    """Cancel what runs, and wait until it has let go of the daemon."""
    tasks = list(running)
    for task in tasks:
        task.cancel()
    if tasks:
        with anyio.CancelScope(shield=True):  # we may be cancelled ourselves
            await asyncio.wait(tasks)
    for task in tasks:
        if not task.cancelled():
            task.exception()  # looked at, so that nothing complains of it


def work(final: Mapping[str, Any]) -> float:
    """Return how much work an answer was, in written tokens (the daemon's final part)."""
    read = (final.get("prompt_eval_count") or 0) - (final.get("prompt_eval_cached_count") or 0)
    return (final.get("eval_count") or 0) + READING * max(0, read)


def worked(final: Mapping[str, Any], seconds: float) -> float | None:
    """Return those of the seconds in which the daemon worked on an answer, its queue left out.

    None if its final part does not tell the share.
    """
    did = (final.get("prompt_eval_duration") or 0) + (final.get("eval_duration") or 0)
    took = (final.get("total_duration") or 0) - (final.get("load_duration") or 0)
    return seconds * min(1.0, did / took) if did and took > 0 else None
