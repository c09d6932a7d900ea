"""Clients that ask again as soon as they have their answer, and note what became of each request.

They try nothing twice: whatever goes on in spite of a failure is the system's doing.
"""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx

from scripts.testbed.models import CHAT

from .fates import Fate, Outcome, Tally

#: What is asked; the model has no end of it.
PROMPT = "Tell me a long story about a lighthouse."
#: Seconds that one request may take.
PATIENCE = 60.0
#: What stands in the last event of a stream by OpenAI's API.
_DONE = "[DONE]"

Ask = Callable[[], Awaitable[tuple[Fate, str]]]


def body(tokens: int, **more: Any) -> dict[str, Any]:
    """Return a chat for OpenAI's API, with an answer of so many tokens at most."""
    said = [{"role": "user", "content": PROMPT}]
    return {"model": CHAT, "messages": said, "max_tokens": tokens, "temperature": 0, **more}


@asynccontextmanager
async def client(url: str, headers: Mapping[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """Open an HTTP client that keeps no limits of its own."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(
        base_url=url, headers=dict(headers), timeout=PATIENCE, limits=limits, trust_env=False
    ) as opened:
        yield opened


async def whole(http: httpx.AsyncClient, path: str, asked: Mapping[str, Any]) -> tuple[Fate, str]:
    """Ask for an answer in one piece."""
    begun = False
    try:
        async with http.stream("POST", path, json=asked) as response:
            begun = response.status_code == 200
            text = (await response.aread()).decode(errors="replace")
    except httpx.HTTPError as error:
        return (Fate.CUT if begun else Fate.LOST), type(error).__name__
    if response.status_code == 429:
        return Fate.REFUSED, ""
    if begun and error_in(text) is None:
        return Fate.ANSWERED, ""
    return Fate.LOST, f"{response.status_code} {text[:160]}"


async def streamed(
    http: httpx.AsyncClient,
    path: str,
    asked: Mapping[str, Any],
    first: anyio.Event | None = None,
) -> tuple[Fate, str]:
    """Ask for a stream, by any API; `first` is set when something of the answer is there."""
    begun, last = False, ""
    try:
        async with http.stream("POST", path, json={**asked, "stream": True}) as response:
            if response.status_code != 200:
                text = (await response.aread()).decode(errors="replace")
                return Fate.LOST, f"{response.status_code} {text[:160]}"
            async for line in response.aiter_lines():
                data = line.removeprefix("data: ")
                if not data.startswith(("{", _DONE)):
                    continue  # the names of events, comments, empty lines
                last = data
                if error := error_in(data):
                    return (Fate.TOLD if begun else Fate.LOST), error
                begun = True
                if first is not None:
                    first.set()
    except httpx.HTTPError as error:
        return (Fate.CUT if begun else Fate.LOST), type(error).__name__
    return (Fate.ANSWERED, "") if is_end(last) else (Fate.LOST, f"it just ended: {last[:80]}")


def error_in(data: str) -> str | None:
    """Return the error in an event or a line, as OpenAI, Anthropic or Ollama write one."""
    try:
        error = None if data == _DONE else json.loads(data).get("error")
    except ValueError:
        return f"no JSON: {data[:100]}"
    return json.dumps(error)[:160] if error else None


def is_end(data: str) -> bool:
    """Return whether an answer is whole whose last event or line this is."""
    if data == _DONE:
        return True
    said = json.loads(data) if data else {}
    return said.get("done") is True or said.get("type") == "message_stop"


async def keep_on(kind: str, ask: Ask, tally: Tally, until: anyio.Event) -> None:
    """Ask again and again, and note what became of it."""
    while not until.is_set():
        fate, note = await ask()
        tally.outcomes.append(Outcome(kind, fate, time.monotonic(), note))
        if fate is not Fate.ANSWERED:
            await anyio.sleep(0.1)  # not to count the same hole a thousand times


async def at_once(kind: str, ask: Ask, number: int) -> Tally:
    """Ask so many times at once."""
    tally = Tally()

    async def take() -> None:
        fate, note = await ask()
        tally.outcomes.append(Outcome(kind, fate, time.monotonic(), note))

    async with anyio.create_task_group() as group:
        for _ in range(number):
            group.start_soon(take)
    return tally
