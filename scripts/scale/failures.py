"""What dies while clients ask: a daemon, a server, Valkey."""

from __future__ import annotations

import time
from functools import partial

import anyio
import anyio.to_thread

from scripts.testbed.models import CHAT

from . import callers
from .batches import ITEMS, batch, written
from .callers import Caller
from .fates import Fate, Tally, Verdict, each_once, limited, survived
from .load import CLIENTS, STREAMS, all_told, at_once, in_the_middle, load, told
from .stage import MINUTE, Ollamas, Stage, Store

#: Seconds of load before something dies, and afterwards.
BEFORE, AFTER = 3.0, 6.0
#: Seconds without Valkey.
OUTAGE = 4.0


async def a_daemon_dies(stage: Stage, ollamas: Ollamas) -> list[Verdict]:
    """Kill one of two daemons under load, while a long answer of each API comes from it."""
    tally, long, file = Tally(), Tally(), "daemon.jsonl"
    async with load(stage, tally), anyio.create_task_group() as group:
        await anyio.sleep(BEFORE)
        group.start_soon(batch, stage, file)
        async with in_the_middle(stage, "one", long):
            moment = time.monotonic()
            await anyio.to_thread.run_sync(ollamas.kill, "one")
        await anyio.sleep(AFTER)
    await anyio.to_thread.run_sync(ollamas.begin, "one")
    await batch(stage, file)  # what failed in mid-answer is tried again
    apis = len(STREAMS) + 1
    return [
        survived(
            "an Ollama is killed: no request is lost that had no answer yet",
            tally, moment, CLIENTS, cuts=False,
        ),
        Verdict(
            "answers in the middle end with an error, in the form of their API",
            len(long.outcomes) == apis and all_told(long),
            f"{long.count(Fate.TOLD)} of {apis}" + ("" if all_told(long) else f"; {told(long)}"),
        ),
        each_once(
            "a batch meanwhile, and the same call again: each item once",
            written(stage, file), ITEMS, "asked of both",
        ),
    ]  # fmt: skip


async def a_server_dies(stage: Stage) -> list[Verdict]:
    """Kill the server that has the sessions, under load; a conversation goes on at the other."""
    tally, before = Tally(), stage.balancer.counts()
    async with Caller(stage.url, stage.headers("load"), callers.NEW) as caller:
        talk = partial(caller.call, "ollama_chat", model=CHAT, options={"num_predict": 8})
        begun, handle = await talk(messages=_said("My name is Ann."), conversation="new")
        async with load(stage, tally):
            await anyio.sleep(BEFORE)
            counts = stage.balancer.counts()
            victim = max(stage.replicas, key=lambda one: counts["sessions", one.name].total)
            moment = time.monotonic()
            await anyio.to_thread.run_sync(victim.kill)
            await anyio.sleep(AFTER)
            went_on, note = await talk(messages=_said("What is my name?"), conversation=handle)
    again = sum(
        count.retried - before[name].retried for name, count in stage.balancer.counts().items()
    )
    await anyio.to_thread.run_sync(stage.whole_again)
    return [
        survived(
            "a server is killed: no request is lost that had no answer yet",
            tally, moment, CLIENTS, cuts=True, more=f"HAProxy asked {again} once more",
        ),
        Verdict(
            "a conversation goes on at the other server",
            begun is went_on is Fate.ANSWERED,
            "answered" if went_on is Fate.ANSWERED else f"{begun.value}, {went_on.value} {note}",
        ),
    ]  # fmt: skip


async def valkey_restarts(stage: Stage, store: Store) -> list[Verdict]:
    """Stop Valkey under load, and start it again, empty; limits hold meanwhile as well."""
    tally = Tally()
    async with load(stage, tally):
        await anyio.sleep(BEFORE)
        moment = time.monotonic()
        await anyio.to_thread.run_sync(store.stop)
        await anyio.sleep(OUTAGE / 4)
        without = await at_once(stage, "without-valkey", 3 * MINUTE)
        await anyio.sleep(max(0.0, moment + OUTAGE - time.monotonic()))
        await anyio.to_thread.run_sync(store.begin)
        await anyio.sleep(AFTER)
        after = await at_once(stage, "after", 3 * MINUTE)
    most = MINUTE * len(stage.replicas)
    return [
        survived(
            f"Valkey is away for {OUTAGE:.0f} s and comes back empty: no request is lost",
            tally, moment, CLIENTS, cuts=False,
        ),
        limited("limits without Valkey: each server counts for itself", without, MINUTE - 1, most),
        limited("limits afterwards: of both together", after, MINUTE - 1, MINUTE + 1),
    ]  # fmt: skip


def _said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]
