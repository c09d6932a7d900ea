"""A batch whose server is killed goes on at the other, by the same call."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import anyio
import anyio.to_thread

from scripts.testbed.models import CHAT

from . import callers
from .callers import Caller
from .fates import Fate, Verdict, each_once
from .stage import Stage

#: Items of a batch, and tokens of each answer.
ITEMS, TOKENS = 20, 8
#: Results in the file when its server is killed.
ENOUGH = 6
#: Seconds for that.
PATIENCE = 60.0


async def batch(stage: Stage, file: str) -> tuple[Fate, str]:
    """Run a batch into a file, or go on with it."""
    async with Caller(stage.url, stage.headers("load"), callers.NEW) as caller:
        return await caller.call(
            "ollama_batch",
            prompt="Say something about the number {item}.",
            items=[str(number) for number in range(ITEMS)],
            model=CHAT,
            options={"num_predict": TOKENS},
            output=file,
        )


def written(stage: Stage, file: str) -> list[int]:
    """Return the numbers of the items that a file has results of, in its order."""
    lines = (stage.root / file).read_text().splitlines()[1:]
    results: list[dict[str, Any]] = [json.loads(line) for line in lines]
    return [line["index"] for line in results if "error" not in line]


async def its_server_dies(stage: Stage) -> list[Verdict]:
    """Kill the server in the middle of a batch, and make the same call once more."""
    file = "server.jsonl"
    async with anyio.create_task_group() as group:
        group.start_soon(partial(batch, stage, file))
        with anyio.fail_after(PATIENCE):
            while _lines(stage, file) <= ENOUGH:  # noqa: ASYNC110 - a file
                await anyio.sleep(0.02)
        counts = stage.balancer.counts()
        victim = max(stage.replicas, key=lambda one: counts["requests", one.name].running)
        await anyio.to_thread.run_sync(victim.kill)
        group.cancel_scope.cancel()
    early = _lines(stage, file) - 1
    fate, note = await batch(stage, file)
    await anyio.to_thread.run_sync(stage.whole_again)
    more = f"{early} before its server was killed, the others by the other"
    if fate is not Fate.ANSWERED:
        more = f"{fate.value} {note}"
    what = "the server of a batch is killed, and the same call made again: each item once"
    return [each_once(what, written(stage, file), ITEMS, more)]


def _lines(stage: Stage, file: str) -> int:
    path = stage.root / file
    return path.read_bytes().count(b"\n") if path.exists() else 0
