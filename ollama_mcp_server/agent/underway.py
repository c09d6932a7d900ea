"""Runs in tasks of their own, which can wait for somebody's yes while no call is open."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ..errors import NotFound
from .events import Consent, Step

if TYPE_CHECKING:
    from ..progress import Progress

T = TypeVar("T")

#: Seconds for which a run waits for an answer, and how many may wait at once.
PATIENCE = 600.0
MOST = 32


@dataclass(frozen=True)
class Question:
    """Whether a call that may destroy something is to be made."""

    step: Step
    reply: asyncio.Future[bool]


class Underway(Generic[T]):
    """Work that goes on in a task of its own, and asks before it makes certain calls."""

    def __init__(self, work: Callable[[Consent], Awaitable[T]], progress: Progress) -> None:
        """Begin `work`, which is given whom to ask."""
        self.progress = progress
        self._questions: asyncio.Queue[Question] = asyncio.Queue()
        self._task = asyncio.create_task(self._done(work))

    async def _done(self, work: Callable[[Consent], Awaitable[T]]) -> T:
        return await work(self._ask)

    async def _ask(self, step: Step) -> bool:
        question = Question(step, asyncio.get_running_loop().create_future())
        self._questions.put_nowait(question)
        return await question.reply

    async def next(self) -> T | Question:
        """Return the next question, or what came of the work.

        Cancelling it stops the work.
        """
        asked = asyncio.create_task(self._questions.get())
        try:
            await asyncio.wait([asked, self._task], return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self.stop()
            raise
        finally:
            asked.cancel()
        if asked.done() and not asked.cancelled():
            return asked.result()
        return self._task.result()

    async def stop(self) -> None:
        """Stop the work, and wait until it has stopped."""
        self._task.cancel()
        await asyncio.wait([self._task])


class Paused:
    """Runs that wait for an answer; handles are unguessable, and belong to their callers."""

    def __init__(self) -> None:
        self._runs: dict[str, tuple[str, Underway[Any], Question, asyncio.TimerHandle]] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def keep(self, run: Underway[Any], question: Question, owner: str) -> str:
        """Keep a run until it is answered, or for ten minutes; return its handle."""
        if len(self._runs) >= MOST:
            self._forget(next(iter(self._runs)))
        handle = f"run_{secrets.token_urlsafe(16)}"
        timer = asyncio.get_running_loop().call_later(PATIENCE, self._forget, handle)
        self._runs[handle] = (owner, run, question, timer)
        return handle

    def take(self, handle: str | None, owner: str) -> tuple[Underway[Any], Question]:
        """Return a run that waits, with its question; it is kept no more.

        Raises:
            NotFound: there is none, or none any more.
        """
        kept = self._runs.get(handle or "")
        if kept is None or kept[0] != owner:
            raise NotFound(
                "the run that asked is over", "Call ollama_agent again, with the whole task"
            )
        del self._runs[handle or ""]
        kept[3].cancel()
        return kept[1], kept[2]

    def _forget(self, handle: str) -> None:
        _, run, _, timer = self._runs.pop(handle)
        timer.cancel()
        stopping = asyncio.ensure_future(run.stop())
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def aclose(self) -> None:
        """Stop all that waits."""
        for handle in list(self._runs):
            self._forget(handle)
        await asyncio.gather(*self._stopping)
