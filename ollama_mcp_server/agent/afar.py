"""A run that another process has: answered from here, it goes on there."""

from __future__ import annotations

import asyncio
import json
import secrets
import time
from typing import TYPE_CHECKING, Any

import anyio

from ..delegation.jobs.outcomes import read
from ..delegation.memory.board import forget
from ..errors import NotFound, OllamaMCPError, TooLarge
from ..progress import Progress
from .events import Step

if TYPE_CHECKING:
    from ..delegation.memory.board import Board, Entry

#: Seconds that a call which was cancelled has to say so to the process that works for it.
TO_STOP = 2.0


class Afar:
    """It is used as a run of this process is; its progress comes late, and in short."""

    def __init__(self, board: Board, handle: str, owner: str) -> None:
        self._board = board
        self._owner = owner
        self._answer = ""
        self._answered = 0.0
        self.handle = handle
        self.progress = Progress(None, "going on at another server")

    async def answer(self, yes: bool) -> None:
        """Say whether the call that was asked about may be made; the first answer counts.

        Raises:
            OllamaMCPError: the store is out of reach.
        """
        self._answer, self._answered = secrets.token_urlsafe(8), time.monotonic()
        await self._board.send(self.handle, {"id": self._answer, "yes": yes})

    async def next(self) -> Any | Step:
        """Return the next call that needs a yes, which `answer` gives, or what came of the work.

        Cancelling it stops the work.

        Raises:
            NotFound: the run has ended with its process, or another answer came before.
            TooLarge: what came of it is at the process that did the work, and nowhere else.
            OllamaMCPError: the store is out of reach.
        """
        try:
            entry = await self._board.follow(self.handle, self._owner, float("inf"), self._see)
        except asyncio.CancelledError:
            with anyio.move_on_after(TO_STOP, shield=True):
                await self._stop()
            raise
        if entry is None or entry.is_lost or entry.told["by"] != self._answer:
            raise over()
        text = await self._board.text(self.handle, is_over=True)
        if text is None:
            raise TooLarge(
                "what came of the run is more than the state takes, and is lost",
                "Give a smaller task, or have the result written to a file",
            )
        await forget(self._board, self.handle)
        outcome = json.loads(text)
        if "step" in outcome:
            self.handle = outcome["handle"]
            return Step(**outcome["step"])
        return read(outcome["result"])

    def _see(self, entry: Entry) -> None:
        by = entry.told["by"]
        unheard = by is None and time.monotonic() - self._answered > self._board.lost
        if unheard or by not in (None, self._answer):
            raise over()
        self.progress.update(entry.told["progress"])

    async def _stop(self) -> None:
        try:
            await self._board.send(self.handle, {"stop": self._answer})
        except OllamaMCPError:
            return  # it goes on to its end there, and nobody reads it


def over() -> NotFound:
    """Return the error for a run that cannot be answered any more."""
    return NotFound("the run that asked is over", "Call ollama_agent again, with the whole task")
