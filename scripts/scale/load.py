"""The steady load: eight clients of four kinds, and requests that are in the middle for long."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial

import anyio

from scripts.testbed.models import CHAT

from . import callers, traffic
from .callers import Caller
from .fates import Fate, Outcome, Tally
from .stage import Stage

CHAT_COMPLETIONS = "/v1/chat/completions"
#: Clients of each kind.
CLIENTS = {"whole": 2, "streamed": 3, "tool": 2, "tool of a session": 1}
#: The era of those that call tools.
ERAS = {"tool": callers.NEW, "tool of a session": callers.OLD}
#: Tokens of an answer of the load, and of one that is to be in the middle when something dies.
SHORT, LONG = 16, 1000
#: Where each API is asked for a stream.
STREAMS = {"OpenAI": CHAT_COMPLETIONS, "Anthropic": "/v1/messages", "Ollama": "/api/chat"}


@asynccontextmanager
async def load(stage: Stage, tally: Tally) -> AsyncIterator[None]:
    """Let clients of every kind ask for as long as the block takes, and end what they began."""
    until = anyio.Event()
    headers = stage.headers("load")

    async def call(kind: str) -> None:
        async with Caller(stage.url, headers, ERAS[kind]) as caller:
            ask = partial(caller.call, "ollama_generate", **_arguments(SHORT))
            await traffic.keep_on(kind, ask, tally, until)

    async with traffic.client(stage.url, headers) as http, anyio.create_task_group() as group:
        body = traffic.body(SHORT)
        ways = {"whole": traffic.whole, "streamed": traffic.streamed}
        for kind, number in CLIENTS.items():
            for _ in range(number):
                if kind in ERAS:
                    group.start_soon(call, kind)
                else:
                    ask = partial(ways[kind], http, CHAT_COMPLETIONS, body)
                    group.start_soon(traffic.keep_on, kind, ask, tally, until)
        try:
            yield
        finally:
            until.set()


@asynccontextmanager
async def in_the_middle(stage: Stage, host: str, tally: Tally) -> AsyncIterator[None]:
    """Have one long answer of each API under way at a host when the block begins."""
    headers = {**stage.headers("load"), "X-Ollama-Host": host}
    async with anyio.create_task_group() as group:
        begun = [anyio.Event() for _ in (*STREAMS, "MCP")]
        for (name, path), first in zip(STREAMS.items(), begun, strict=False):
            group.start_soon(_stream, stage.url, headers, name, path, first, tally)
        group.start_soon(_call, stage, host, begun[-1], tally)
        with anyio.fail_after(traffic.PATIENCE):
            for first in begun:
                await first.wait()
        yield


async def _stream(
    url: str,
    headers: Mapping[str, str],
    name: str,
    path: str,
    first: anyio.Event,
    tally: Tally,
) -> None:
    asked = traffic.body(LONG, options={"num_predict": LONG})
    async with traffic.client(url, headers) as http:
        fate, note = await traffic.streamed(http, path, asked, first)
    tally.outcomes.append(Outcome(name, fate, time.monotonic(), note))
    first.set()  # or nobody would hear that it failed


async def _call(stage: Stage, host: str, first: anyio.Event, tally: Tally) -> None:
    async def note(progress: float, total: float | None, message: str | None) -> None:
        if message and "writing" in message:
            first.set()

    async with Caller(stage.url, stage.headers("load"), callers.NEW, note) as caller:
        fate, text = await caller.call("ollama_generate", host=host, **_arguments(LONG))
    tally.outcomes.append(Outcome("MCP", fate, time.monotonic(), text))
    first.set()


def _arguments(tokens: int) -> dict[str, object]:
    return {"model": CHAT, "prompt": traffic.PROMPT, "options": {"num_predict": tokens}}


async def at_once(stage: Stage, key: str, number: int, tokens: int = 1) -> Tally:
    """Ask so many times at once with a key."""
    async with traffic.client(stage.url, stage.headers(key)) as http:
        ask = partial(traffic.whole, http, CHAT_COMPLETIONS, traffic.body(tokens))
        return await traffic.at_once(key, ask, number)


def told(tally: Tally) -> str:
    """Return what became of each request, in short."""
    return "; ".join(f"{one.kind}: {one.fate.value} {one.note[:80]}" for one in tally.outcomes)


def all_told(tally: Tally) -> bool:
    """Return whether every one ended with an error in the form of its API."""
    return all(one.fate is Fate.TOLD for one in tally.outcomes)
