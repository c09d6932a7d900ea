"""A sign in the store, for as long as a worker is at a task: the engine's own may be lost.

When the Valkey is out of reach for a while the engine stops telling that it is at work, works on,
and another worker is given the same task; without the sign both would do it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from docket.execution import ExecutionState
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from docket.execution import Execution

T = TypeVar("T")

#: How often the sign is renewed while it lasts.
RENEWALS = 4
#: How often the store is asked what a worker must know, and the seconds between.
TRIES, PAUSE = 60, 0.5


@asynccontextmanager
async def at_work(execution: Execution, lasts: timedelta) -> AsyncIterator[None]:
    """Show the sign; it outlives its process by `lasts` at most."""
    showing = asyncio.create_task(_show(execution, lasts))
    try:
        yield
    finally:
        showing.cancel()
        await asyncio.wait([showing])
        with suppress(RedisError, OSError):
            async with execution.docket.redis() as redis:
                await redis.delete(_key(execution))


async def outcome_elsewhere(execution: Execution, lasts: timedelta) -> Any:
    """Wait until nobody else is at a task that has come again; return what came of it.

    None where it did not come to an end.
    """
    is_shown = True

    async def look() -> bool:
        async with execution.docket.redis() as redis:
            return bool(await redis.exists(_key(execution)))

    while is_shown:
        await asyncio.sleep(lasts.total_seconds() / RENEWALS)  # one may be about to be renewed
        is_shown = await answered(look)
    await answered(execution.sync)
    if execution.state is not ExecutionState.COMPLETED:
        return None
    return await answered(lambda: execution.get_result(timeout=timedelta(0)))


async def answered(ask: Callable[[], Awaitable[T]]) -> T:
    """Return what the store says; while it is out of reach it is asked again, for half a minute."""
    for _ in range(TRIES - 1):
        try:
            return await ask()
        except (RedisError, OSError):
            await asyncio.sleep(PAUSE)
    return await ask()


async def _show(execution: Execution, lasts: timedelta) -> None:
    seconds = lasts.total_seconds()
    while True:
        with suppress(RedisError, OSError):  # until it is in reach again
            async with execution.docket.redis() as redis:
                await redis.set(_key(execution), b"1", px=int(seconds * 1000))
        await asyncio.sleep(seconds / RENEWALS)


def _key(execution: Execution) -> str:
    return execution.docket.key(f"at-work:{execution.key}")
