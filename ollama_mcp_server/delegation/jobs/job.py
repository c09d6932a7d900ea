"""One call's work, in this process."""

from __future__ import annotations

import asyncio
import secrets
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .outcomes import as_text

if TYPE_CHECKING:
    from ...progress import Progress

#: Characters of an unfinished answer that other processes are shown, from its end.
SHOWN = 20_000
#: The message that asks for a job to be stopped.
STOP = {"stop": True}

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
    #: When it began, in seconds since 1970.
    since: float = field(default_factory=time.time)
    ended: float | None = None
    task: asyncio.Task[Any] | None = None
    #: Whether the caller has the handle; the call that it came with is over then.
    is_handed_over: bool = False
    #: Whether it was stopped because its server ended.
    is_lost: bool = False

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

    def result(self) -> Any:
        """Return what came of the work, or raise what it raised."""
        assert self.task is not None  # noqa: S101 - for the type checker
        return self.task.result()

    def told(self) -> dict[str, Any]:
        """Return what other processes are told of it."""
        return {
            "tool": self.tool,
            "status": "lost" if self.is_lost else self.status,
            "seconds": round(self.seconds, 1),
            "since": self.since,
            "progress": self.progress.message if self.progress is not None else None,
        }

    def text(self) -> str:
        """Return the result, or what there is of the answer."""
        if self.status == "done" and self.task is not None:
            return as_text(self.task)
        return self.progress.so_far()[-SHOWN:] if self.progress is not None else ""

    def heard(self, message: dict[str, Any]) -> None:
        """Stop, if another process asks for it."""
        if message == STOP and self.task is not None:
            self.task.cancel()
