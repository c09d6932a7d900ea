"""The line in front of the daemon: bounded, and fair between those who wait in it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TypeAlias

from ...errors import QueueFull

#: What a waiting request awaits: its turn, or an error if it has to go.
Turn: TypeAlias = "asyncio.Future[None]"
#: Seconds after which to come again, at most.
LONGEST = 60.0


def first(names: Iterable[str]) -> str:
    """Return whose turn it is where each name has its turn after all the others."""
    return next(iter(names))


class Line:
    """Lets a number of requests in at once; of those who wait, each name is served in its turn.

    Within a name the first comes first; `pick` may give a name its turn before others. When the
    line is full, whoever has the most waiting gives up its newest for one who has fewer, so that
    nobody can fill it alone.
    """

    def __init__(
        self, places: int, queue: int, pick: Callable[[Iterable[str]], str] = first
    ) -> None:
        """Let `places` in at once, and `queue` wait.

        Args:
            places: who is in at once.
            queue: who may wait.
            pick: tells which name's turn it is, of those that wait, in the order of their turns.
        """
        self.places = places
        self.queue = queue
        self._pick = pick
        #: How many are in, and how many wait.
        self.running = self.waiting = 0
        self._lines: dict[str, deque[Turn]] = {}
        self._mean = 1.0

    @property
    def is_full(self) -> bool:
        """Whether who comes now has to wait: all the places are taken."""
        return self.running >= self.places

    async def enter(self, name: str) -> None:
        """Wait for a place; whoever is let in must leave.

        Raises:
            QueueFull: too many wait already.
        """
        if not self.is_full:  # then nobody waits: a place that is left is passed on
            self.running += 1
            return
        self._make_room(name)
        turn: Turn = asyncio.get_running_loop().create_future()
        self._lines.setdefault(name, deque()).append(turn)
        self.waiting += 1
        try:
            await turn
        except asyncio.CancelledError:
            self._forget(name, turn)
            if not turn.cancelled() and turn.exception() is None:
                self.leave()  # its turn came, but nobody was there to take it
            raise

    def leave(self, held: float | None = None) -> None:
        """Give a place back, which was held for so many seconds; the next one gets it."""
        if held is not None:
            self._mean += (held - self._mean) / 8
        while self._lines:
            name = self._pick(self._lines)
            line = self._lines.pop(name)
            turn = line.popleft()
            self.waiting -= 1
            if line:
                self._lines[name] = line  # behind all the others
            if not turn.done():  # else it was cancelled just now
                turn.set_result(None)
                return
        self.running -= 1

    def waiting_of(self, name: str) -> int:
        """Return how many of a name wait."""
        return len(self._lines.get(name, ()))

    def _make_room(self, name: str) -> None:
        if self.waiting < self.queue:
            return
        longest = max(self._lines, key=self.waiting_of, default=name)
        if self.waiting_of(longest) < self.waiting_of(name) + 2:
            raise self._full()
        turn = self._lines[longest].pop()  # it has two at least
        self.waiting -= 1
        if not turn.done():
            turn.set_exception(self._full())

    def _forget(self, name: str, turn: Turn) -> None:
        line = self._lines.get(name, deque())
        if turn not in line:
            return
        line.remove(turn)
        self.waiting -= 1
        if not line:
            del self._lines[name]

    def _full(self) -> QueueFull:
        wait = self._mean * (self.waiting + 1) / self.places
        return QueueFull(
            f"too many requests wait already ({self.waiting})",
            "Call again later",
            retry_after=round(min(max(1.0, wait), LONGEST), 1),
        )
