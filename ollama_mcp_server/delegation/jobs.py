"""Work that outlasts the call it came with: a handle for what the host did not wait for."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..errors import NotFound, RateLimited

if TYPE_CHECKING:
    from ..progress import Progress

#: Jobs that may run at once, and those kept after their end.
MAX_RUNNING = 32
MAX_KEPT = 64
#: Seconds for which a result is kept after the work has ended.
KEPT = 1800.0

#: The job that the code belongs to, where it belongs to one.
current: ContextVar[Job | None] = ContextVar("job", default=None)


@dataclass
class Job:
    """One call's work: the task that does it, and how far it is."""

    tool: str
    owner: str
    handle: str = field(default_factory=lambda: f"job_{secrets.token_urlsafe(16)}")
    progress: Progress | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float | None = None
    task: asyncio.Task[Any] | None = None
    #: Whether the caller has the handle; the call that it came with is over then.
    is_handed_over: bool = False

    @property
    def status(self) -> str:
        """Return running, done or cancelled; what failed is done, and its result an error."""
        if self.task is None or not self.task.done():
            return "running"
        return "cancelled" if self.task.cancelled() else "done"

    @property
    def seconds(self) -> float:
        """Seconds of work so far, or in all."""
        return (self.ended or time.monotonic()) - self.began

    async def wait(self, seconds: float) -> bool:
        """Wait until the work has ended, at most so many seconds; return whether it has."""
        assert self.task is not None  # noqa: S101 - for the type checker
        done, _ = await asyncio.wait([self.task], timeout=seconds)
        return bool(done)

    async def stop(self) -> None:
        """Cancel the work, and wait until it has stopped, at the daemon as well."""
        if self.task is not None:
            self.task.cancel()
            await asyncio.wait([self.task])


async def _done(work: Callable[[], Awaitable[Any]]) -> Any:
    return await work()


class Jobs:
    """The jobs of one server; handles are unguessable, and belong to whoever was given them."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

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
        except asyncio.CancelledError:
            await job.stop()
            raise
        if ended:
            return job.task.result()
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
        """Return a job of `owner`'s.

        Raises:
            NotFound: there is none, or none any more, or it is someone else's.
        """
        self._drop_old()
        job = self._jobs.get(handle)
        if job is None or job.owner != owner:
            raise NotFound(
                "there is no such job",
                f"Results are kept for {KEPT / 60:.0f} minutes, and end with the server; "
                "action: list shows the jobs that there are",
            )
        return job

    def of(self, owner: str) -> list[Job]:
        """Return the jobs of `owner`, the newest first."""
        self._drop_old()
        return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def _drop_old(self) -> None:
        now = time.monotonic()
        ended = [job for job in self._jobs.values() if job.ended is not None]
        for number, job in enumerate(reversed(ended)):
            if number >= MAX_KEPT or now - (job.ended or now) > KEPT:
                del self._jobs[job.handle]

    async def aclose(self) -> None:
        """Stop all that still works."""
        running = [job.stop() for job in self._jobs.values() if job.status == "running"]
        await asyncio.gather(*running)
        self._jobs.clear()
