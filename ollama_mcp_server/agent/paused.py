"""Runs that wait for somebody's yes while no call is open, here or in another process."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from ..delegation.jobs.outcomes import failed, written
from .afar import Afar, over
from .events import Step
from .underway import Underway

if TYPE_CHECKING:
    from ..delegation.memory.board import Board
    from ..delegation.memory.tending import Tending

#: Seconds for which a run waits for an answer, and how many may wait at once.
PATIENCE = 600.0
MOST = 32


@dataclass
class Waiting:
    """A run that waits; another process may answer, and is told what came of it."""

    handle: str
    owner: str
    run: Underway[Any]
    timer: asyncio.TimerHandle
    #: The answer that counts: which one of another process's, and whether it is a yes.
    answer: asyncio.Future[tuple[str, bool]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    #: Waits for that answer and for what comes of the run.
    task: asyncio.Task[str] | None = None

    @property
    def by(self) -> str | None:
        """Which answer it went on with."""
        return self.answer.result()[0] if self.answer.done() else None

    def told(self) -> dict[str, Any] | None:
        """Return what other processes are told of it; None if it is no longer theirs."""
        if self.task is not None and self.task.cancelled():
            return None
        return {"by": self.by, "progress": self.run.progress.message}

    def text(self) -> str:
        """Return what came of the run, "" until then."""
        if self.task is None or not self.task.done():
            return ""
        error = self.task.exception()
        return json.dumps({"result": written(failed(error))}) if error else self.task.result()

    def heard(self, message: dict[str, Any]) -> None:
        """Take the first answer, and end the run if the one who gave it does not wait any more."""
        if self.task is None or self.task.done():
            return
        if not self.answer.done() and "yes" in message:
            self.answer.set_result((message["id"], message["yes"]))
        elif message.get("stop") is not None and message["stop"] == self.by:
            self.task.cancel()


class Paused:
    """Runs that wait for an answer; handles are unguessable, and belong to their callers.

    With a board, the answer may come to another process that shares it.
    """

    def __init__(self, board: Board | None = None) -> None:
        self._runs: dict[str, Waiting] = {}
        self._stopping: set[asyncio.Task[None]] = set()
        self._board = board
        self._tending: Tending | None = None
        #: Those that went on with another process's answer.
        self._serving: set[asyncio.Task[str]] = set()
        if board is not None:
            from ..delegation.memory.tending import Tending

            self._tending = Tending(board)

    async def keep(self, run: Underway[Any] | Afar, owner: str) -> str:
        """Keep a run until it is answered, or for ten minutes; return its handle.

        Cancelling it stops the run.
        """
        if isinstance(run, Afar):
            return run.handle
        if len(self._runs) >= MOST:
            self._forget(next(iter(self._runs)))
        handle = f"run_{secrets.token_urlsafe(16)}"
        timer = asyncio.get_running_loop().call_later(PATIENCE, self._forget, handle)
        waiting = self._runs[handle] = Waiting(handle, owner, run, timer)
        if self._tending is not None:
            waiting.task = asyncio.create_task(self._serve(waiting))
            self._serving.add(waiting.task)
            waiting.task.add_done_callback(self._serving.discard)
            try:
                await self._tending.begin(waiting)
            except asyncio.CancelledError:
                if handle in self._runs:
                    self._forget(handle)
                raise
        return handle

    async def take(self, handle: str | None, owner: str) -> Underway[Any] | Afar:
        """Return a run that waits for its answer, which it gets but once.

        Raises:
            NotFound: there is none, or none any more.
            OllamaMCPError: the store that tells of other processes' runs is out of reach.
        """
        waiting = self._runs.get(handle or "")
        if waiting is not None:
            if waiting.owner != owner or waiting.answer.done():
                raise over()
            return self._release(waiting).run
        if handle is None or self._board is None:
            raise over()
        entry = await self._board.read(handle, owner)
        if entry is None or entry.is_over or entry.is_lost or entry.told["by"] is not None:
            raise over()
        return Afar(self._board, handle, owner)

    async def _serve(self, waiting: Waiting) -> str:
        """Wait for another process's answer, and return what comes of the run."""
        _, yes = await waiting.answer
        self._release(waiting, is_taken=False)
        run = waiting.run
        await run.answer(yes)
        outcome = await run.next()
        if isinstance(outcome, Step):
            again = await self.keep(run, waiting.owner)
            return json.dumps({"step": asdict(outcome), "handle": again})
        return json.dumps({"result": written(outcome)})

    def _release(self, waiting: Waiting, *, is_taken: bool = True) -> Waiting:
        """Keep a run no more; one that `is_taken` is answered in this process."""
        self._runs.pop(waiting.handle, None)
        waiting.timer.cancel()
        if is_taken and waiting.task is not None:
            waiting.task.cancel()
        return waiting

    def _forget(self, handle: str) -> None:
        waiting = self._release(self._runs[handle])
        stopping = asyncio.ensure_future(waiting.run.stop())
        self._stopping.add(stopping)
        stopping.add_done_callback(self._stopping.discard)

    async def aclose(self) -> None:
        """Stop all that waits, and what went on with another process's answer."""
        for handle in list(self._runs):
            self._forget(handle)
        for task in self._serving:
            task.cancel()
        if ending := [*self._stopping, *self._serving]:
            await asyncio.wait(ending)
        if self._tending is not None:
            await self._tending.aclose()
