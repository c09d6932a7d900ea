"""A job that another process works on, as the state tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...errors import NotFound, ServerDown, TooLarge
from ...progress import Progress
from .job import STOP
from .outcomes import read

if TYPE_CHECKING:
    from ..memory.board import Board, Entry


class Elsewhere:
    """It can be waited for, read and stopped, as one of this process can."""

    def __init__(self, board: Board, handle: str, owner: str) -> None:
        """Know only the handle; `wait` tells the rest."""
        self._board = board
        self._owner = owner
        self._text: str | None = None
        self.handle = handle
        self.tool, self.status, self.seconds, self.since = "", "running", 0.0, 0.0
        self.progress = Progress(None, "")
        self.progress.so_far = lambda: self._text or ""

    @classmethod
    def of(cls, board: Board, handle: str, owner: str, entry: Entry) -> Elsewhere:
        """Return the job that an entry tells of, without its text."""
        job = cls(board, handle, owner)
        job._see(entry)
        return job

    def _see(self, entry: Entry) -> None:
        told = entry.told
        self.tool, self.seconds, self.since = told["tool"], told["seconds"], told["since"]
        self.status = "lost" if entry.is_lost else told["status"]
        if told["progress"] and told["progress"] != self.progress.message:
            self.progress.update(told["progress"])

    async def wait(self, seconds: float) -> bool:
        """Wait until the work has ended, at most so many seconds; return whether it has.

        Raises:
            NotFound: there is no such job, or none any more, or it is someone else's.
            ServerDown: the process that worked on it has ended before.
            OllamaMCPError: the store is out of reach.
        """
        entry = await self._board.follow(self.handle, self._owner, seconds, self._see)
        if entry is None:
            raise missing("")
        self._see(entry)
        if self.status == "lost":
            raise ServerDown(
                "the server that worked on this job has ended, and the work with it",
                f"Begin again: call {self.tool} as before",
            )
        self._text = await self._board.text(self.handle, is_over=entry.is_over)
        return entry.is_over

    async def stop(self) -> None:
        """Have the work cancelled where it is done, and wait until it has stopped.

        Raises:
            As `wait`.
        """
        if self.status == "running":
            await self._board.send(self.handle, STOP)
            await self.wait(self._board.lost)

    def result(self) -> Any:
        """Return what came of the work.

        Raises:
            TooLarge: it is at the process that did the work, and nowhere else.
        """
        if self._text is None:
            raise TooLarge(
                "the result is more than the state takes, so it is at the server that did the "
                "work, and this is another",
                f"Call again, which may reach that one, or call {self.tool} anew for less at once",
            )
        return read(self._text)


def missing(more: str) -> NotFound:
    """Return the error for a job that is not there."""
    return NotFound(
        "there is no such job",
        f"Results are kept for 30 minutes{more}; action: list shows the jobs that there are",
    )
