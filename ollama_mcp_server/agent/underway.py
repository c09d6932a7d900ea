"""Runs in tasks of their own, which can wait for somebody's yes while no call is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Generic, TypeVar

from .events import Consent, Step

if TYPE_CHECKING:
    from ..progress import Progress

T = TypeVar("T")


class Underway(Generic[T]):
    """Work that goes on in a task of its own, and asks before it makes certain calls."""

    def __init__(self, work: Callable[[Consent], Awaitable[T]], progress: Progress) -> None:
        """Begin `work`, which is given whom to ask."""
        self.progress = progress
        self._asked: asyncio.Queue[tuple[Step, asyncio.Future[bool]]] = asyncio.Queue()
        self._reply: asyncio.Future[bool] | None = None
        self._task = asyncio.create_task(self._done(work))

    async def _done(self, work: Callable[[Consent], Awaitable[T]]) -> T:
        return await work(self._ask)

    async def _ask(self, step: Step) -> bool:
        reply: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._asked.put_nowait((step, reply))
        return await reply

    async def next(self) -> T | Step:
        """Return the next call that needs a yes, which `answer` gives, or what came of the work.

        Cancelling it stops the work.
        """
        asked = asyncio.create_task(self._asked.get())
        try:
            await asyncio.wait([asked, self._task], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            asked.cancel()
        if asked.done() and not asked.cancelled():
            step, self._reply = asked.result()
            return step
        return self._task.result()

    async def answer(self, yes: bool) -> None:
        """Say whether the call that `next` returned may be made."""
        assert self._reply is not None  # noqa: S101 - for the type checker
        if not self._reply.done():  # the work may have been stopped meanwhile
            self._reply.set_result(yes)

    async def stop(self) -> None:
        """Stop the work, and wait until it has stopped."""
        self._task.cancel()
        await asyncio.wait([self._task])
