"""The jobs of one server."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from ...errors import NotFound, RateLimited
from .elsewhere import Elsewhere, missing
from .job import Job, current

if TYPE_CHECKING:
    from ..memory.board import Board
    from ..memory.tending import Tending

#: Jobs that may run at once, and those kept after their end.
MAX_RUNNING = 32
MAX_KEPT = 64
#: Seconds for which a result is kept after the work has ended.
KEPT = 1800.0


async def _done(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


class Jobs:
    """The jobs of one server; handles are unguessable, and belong to whoever was given them.

    With a board, those of the other processes that share it are there as well.
    """

    def __init__(self, board: Board | None = None) -> None:
        self._jobs: dict[str, Job] = {}
        self._board = board
        self._tending: Tending | None = None
        if board is not None:
            from ..memory.tending import Tending

            self._tending = Tending(board)

    async def run(
        self, tool: str, owner: str, work: Callable[[], Awaitable[Any]], wait: float
    ) -> Any | Job:
        """Do `work`, and return its result; or its Job, if it takes more than `wait` seconds.

        The work is cancelled where the caller is, before it has the job's handle.

        Raises:
            RateLimited: too much goes on already; nothing was begun.
        """
        if sum(job.status == "running" for job in self._jobs.values()) >= MAX_RUNNING:
            raise RateLimited(
                f"{MAX_RUNNING} jobs run already",
                "Wait for one with ollama_job, or cancel one (action: list shows them)",
            )
        job = Job(tool, owner)
        token = current.set(job)
        try:
            job.task = asyncio.create_task(_done(work))  # its context holds the job
        finally:
            current.reset(token)
        try:
            ended = await job.wait(wait)
            if not ended and self._tending is not None:
                await self._tending.begin(job)
                ended = job.status != "running"
        except asyncio.CancelledError:
            await job.stop()
            raise
        if ended:
            return job.result()
        job.is_handed_over = True
        if job.progress is not None:
            job.progress.detach()  # the request that it told of is over
        job.task.add_done_callback(lambda _: self._end(job))
        self._jobs[job.handle] = job
        return job

    def _end(self, job: Job) -> None:
        job.ended = time.monotonic()
        if job.task is not None and not job.task.cancelled():
            job.task.exception()  # it is told to whoever asks; nobody may be there to ask

    def find(self, handle: str, owner: str) -> Job:
        """Return a job of `owner`'s in this process.

        Raises:
            NotFound: there is none, or none any more, or it is someone else's.
        """
        self._drop_old()
        job = self._jobs.get(handle)
        if job is None or job.owner != owner:
            raise missing(", and end with the server" if self._board is None else "")
        return job

    async def found(self, handle: str, owner: str) -> Job | Elsewhere:
        """Return a job of `owner`'s in any process.

        Raises:
            NotFound: there is none, or none any more, or it is someone else's.
            ServerDown: the process that worked on it has ended before.
            OllamaMCPError: the store that tells of the others is out of reach.
        """
        try:
            return self.find(handle, owner)
        except NotFound:
            if self._board is None:
                raise
        job = Elsewhere(self._board, handle, owner)
        await job.wait(0)
        return job

    def of(self, owner: str) -> list[Job]:
        """Return the jobs of `owner` in this process, the newest first."""
        self._drop_old()
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    async def elsewhere(self, owner: str) -> list[Elsewhere]:
        """Return the jobs of `owner` in other processes, the newest first.

        Raises:
            OllamaMCPError: the store that tells of them is out of reach.
        """
        if self._board is None:
            return []
        found = [
            Elsewhere.of(self._board, handle, owner, entry)
            for handle, entry in (await self._board.listed(owner)).items()
            if handle not in self._jobs
        ]
        return sorted(found, key=lambda job: job.since, reverse=True)

    def _drop_old(self) -> None:
        now = time.monotonic()
        ended = [job for job in self._jobs.values() if job.ended is not None]
        for number, job in enumerate(reversed(ended)):
            if number >= MAX_KEPT or now - (job.ended or now) > KEPT:
                del self._jobs[job.handle]

    async def aclose(self) -> None:
        """Stop all that still works."""
        running = [job for job in self._jobs.values() if job.status == "running"]
        for job in running:
            job.is_lost = True
        await asyncio.gather(*(job.stop() for job in running))
        if self._tending is not None:
            await self._tending.aclose()
        self._jobs.clear()
