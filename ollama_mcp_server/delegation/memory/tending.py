"""The entries that this process keeps fresh, for others to see how far its work is."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any, Protocol

import anyio

from ...errors import OllamaMCPError
from .board import KEPT, Board

logger = logging.getLogger(__name__)

#: Seconds that the first entry may hold up what it is about, and the last ones the server's end.
FIRST = 5.0
LAST = 2.0


class Tended(Protocol):
    """Work whose entry is kept fresh."""

    @property
    def handle(self) -> str:
        """Its key."""

    @property
    def owner(self) -> str:
        """Whose it is."""

    @property
    def task(self) -> asyncio.Task[Any] | None:
        """Who does it."""

    def told(self) -> dict[str, Any] | None:
        """Return what the entry says now; None to take it away."""

    def text(self) -> str:
        """Return the outcome if there is one, else what there is of it."""

    def heard(self, message: dict[str, Any]) -> None:
        """Do what somebody asked for."""


class Tending:
    """Tasks that write to a board what their work tells, as long as it works."""

    def __init__(self, board: Board) -> None:
        self.board = board
        self._tasks: set[asyncio.Task[None]] = set()
        #: What the store said last, where it failed.
        self._failing = ""

    async def begin(self, work: Tended) -> None:
        """Keep the entry of `work` fresh until that has ended.

        Returns once the entry is there, or the store does not take it in time.
        """
        begun = asyncio.Event()
        task = asyncio.create_task(self._tend(work, begun))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with anyio.move_on_after(FIRST):
            await begun.wait()

    async def _tend(self, work: Tended, begun: asyncio.Event) -> None:
        assert work.task is not None  # noqa: S101 - for the type checker
        ends = float("inf")
        while True:
            is_over = work.task.done()
            if is_over:
                ends = min(ends, time.monotonic() + KEPT)
            try:
                await self._tell(work, is_over=is_over)
                if is_over:
                    return
                begun.set()
                if (message := await self.board.receive(work.handle)) is not None:
                    work.heard(message)
                self._failing = ""
            except OllamaMCPError as error:  # the work goes on, and is told of once this has passed
                if error.message != self._failing:
                    logger.warning("other processes cannot see our work: %s", error.message)
                self._failing = error.message
                if time.monotonic() > ends:
                    return
            finally:
                begun.set()
            if is_over:
                await asyncio.sleep(self.board.beat)
            else:
                await asyncio.wait([work.task], timeout=self.board.beat)

    async def _tell(self, work: Tended, *, is_over: bool) -> None:
        told = work.told()
        if told is None:
            await self.board.drop(work.handle)
        else:
            await self.board.write(work.handle, work.owner, told, work.text(), is_over=is_over)

    async def aclose(self) -> None:
        """Let the ends of all work be told, but not for long."""
        if self._tasks and not self._failing:
            await asyncio.wait(self._tasks, timeout=LAST)
        for task in (late := list(self._tasks)):
            task.cancel()
        if late:
            await asyncio.wait(late)
