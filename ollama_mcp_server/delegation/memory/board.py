"""What processes that share a state tell one another of their work.

Who works keeps an entry fresh that says how far it is, and looks for messages; the others read the
entry, and leave messages. Who works alone decides what comes of them, so nothing is locked: of two
who ask the same at once, one is heard. The clocks may differ by a few seconds.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ...errors import OllamaMCPError
from .conversations import hashed
from .state import State

logger = logging.getLogger(__name__)

#: Seconds between two entries of work that goes on.
BEAT = 2.0
#: Seconds without a new one after which its process has ended.
LOST = 15.0
#: Seconds that an entry is kept after its last change.
KEPT = 1800.0
#: Characters of a text that are shared; what is longer stays with its process.
LARGEST = 8 * 2**20
#: Seconds between two looks at an entry: at first, and later.
SOON, LATER = 0.25, 1.0
#: Entries that an owner's list names.
MOST = 200
#: No key of our own fits: each of those has a colon.
_HANDLE = re.compile(r"[A-Za-z0-9_-]{22,40}")


@dataclass(frozen=True)
class Entry:
    """How far work was when its process last told."""

    told: dict[str, Any]
    #: When that was, in seconds since 1970.
    beat: float
    is_over: bool
    lost: float = LOST

    @property
    def is_lost(self) -> bool:
        """Whether the work's process has ended before the work."""
        return not self.is_over and time.time() - self.beat > self.lost


class Board:
    """The entries of one kind of work.

    Its methods raise OllamaMCPError if the store is out of reach or refuses.
    """

    def __init__(
        self,
        opened: Callable[[], State],
        name: str,
        *,
        is_listed: bool = True,
        beat: float | None = None,
        lost: float | None = None,
    ) -> None:
        """Hold entries in the collection `name` of a state that is opened at the first use.

        Args:
            opened: returns the state.
            name: of the collection.
            is_listed: whether an owner can have a list of the entries.
            beat: seconds between two entries of work that goes on, BEAT by default.
            lost: seconds without one after which its process has ended, LOST by default.
        """
        self._opened = opened
        self._name = name
        self._is_listed = is_listed
        self.beat = BEAT if beat is None else beat
        self.lost = LOST if lost is None else lost
        self._listing = asyncio.Lock()

    @cached_property
    def _state(self) -> State:
        return replace(self._opened(), lasts=KEPT)

    async def write(
        self, handle: str, owner: str, told: dict[str, Any], text: str, *, is_over: bool
    ) -> None:
        """Write an entry and its text; without the text where that is more than the store takes."""
        whose = hashed(owner)
        entry = {"owner": whose, "told": told, "beat": time.time(), "over": is_over}
        # the text first: a store that takes one after the other has it once the entry is there
        whole = {f"{handle}:text": {"text": text, "over": is_over}, handle: entry}
        if not (len(text) <= LARGEST and await self._takes(whole)):
            if is_over:
                logger.warning("%s: an outcome is more than the store takes", self._name)
            await self._state.put(self._name, {handle: entry})
        if self._is_listed:
            await self._list(handle, whose)

    async def _takes(self, entries: dict[str, dict[str, Any]]) -> bool:
        """Put entries; return False if the store will not take them, now or later."""
        try:
            await self._state.put(self._name, entries)
        except OllamaMCPError as error:
            if error.retryable:
                raise
            return False
        return True

    async def read(self, handle: str, owner: str) -> Entry | None:
        """Return an entry of an owner's, None if there is none, or none any more."""
        found = await self._state.get(self._name, handle) if _HANDLE.fullmatch(handle) else None
        if found is None or found["owner"] != hashed(owner):
            return None
        return Entry(found["told"], found["beat"], found["over"], self.lost)

    async def text(self, handle: str, *, is_over: bool) -> str | None:
        """Return the text of an entry: all of it if it `is_over`, else what there is so far.

        None if there is none: it was more than the store takes.
        """
        body = await self._state.get(self._name, f"{handle}:text")
        return body["text"] if body is not None and body["over"] == is_over else None

    async def listed(self, owner: str) -> dict[str, Entry]:
        """Return the entries of an owner, by handle."""
        whose, found = hashed(owner), {}
        for handle in await self._rows(whose):
            if (entry := await self.read(handle, owner)) is not None:
                found[handle] = entry
        return found

    async def send(self, handle: str, message: dict[str, Any]) -> None:
        """Leave a message for the process that works; the last one counts."""
        await self._state.put(self._name, {f"{handle}:message": message})

    async def drop(self, handle: str) -> None:
        """Take an entry away."""
        for key in (handle, f"{handle}:text", f"{handle}:message"):
            await self._state.delete(self._name, key)

    async def follow(
        self, handle: str, owner: str, seconds: float, seen: Callable[[Entry], None]
    ) -> Entry | None:
        """Look at an entry until the work is over or lost, at most so many seconds.

        `seen` is told of each look. Returns the last entry, None if there is none. A store that
        does not answer for a moment is asked again.
        """
        now = time.monotonic()
        ends, answered, pause = now + seconds, now, SOON
        while True:
            left = ends - time.monotonic()
            try:
                entry = await self.read(handle, owner)
            except OllamaMCPError:
                if min(left, answered + self.lost - time.monotonic()) <= 0:
                    raise
            else:
                if entry is None or entry.is_over or entry.is_lost:
                    return entry
                seen(entry)
                if left <= 0:
                    return entry
                answered = time.monotonic()
            await asyncio.sleep(min(pause, left))
            pause = min(pause * 1.5, LATER)

    async def receive(self, handle: str) -> dict[str, Any] | None:
        """Return what somebody left for the process that works, once."""
        key = f"{handle}:message"
        message = await self._state.get(self._name, key)
        if message is not None:
            await self._state.delete(self._name, key)
        return message

    async def _list(self, handle: str, whose: str) -> None:
        """See to it that an owner's list names an entry, which another process may overwrite."""
        async with self._listing:
            rows = await self._rows(whose)
            if handle not in rows:
                await self._state.tidy()
                rows = {**await self._live(rows), handle: time.time()}
                newest = sorted(rows.items(), key=lambda row: row[1])[-MOST:]
                await self._state.put(self._name, {f"owner:{whose}": {"rows": dict(newest)}})

    async def _rows(self, whose: str) -> dict[str, float]:
        """Return when each entry of an owner was listed."""
        found = await self._state.get(self._name, f"owner:{whose}")
        return dict(found["rows"]) if found else {}

    async def _live(self, rows: dict[str, float]) -> dict[str, float]:
        """Return the rows of a list without those whose entries have expired, which go."""
        for handle, since in list(rows.items()):
            if time.time() - since > KEPT and await self._state.get(self._name, handle) is None:
                del rows[handle]
                await self.drop(handle)
        return rows


async def forget(board: Board, handle: str) -> None:
    """Take an entry away that has been read; if that fails, it expires."""
    with suppress(OllamaMCPError):
        await board.drop(handle)
