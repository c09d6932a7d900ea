"""Results that were too long for an answer, kept for a while behind an unguessable id."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...errors import NotFound, OllamaMCPError, TooLarge

if TYPE_CHECKING:
    from ..memory.board import Board

logger = logging.getLogger(__name__)

#: How long, how many and how many bytes in all are kept.
SECONDS = 1800.0
MOST = 32
BYTES = 32 * 2**20


@dataclass(frozen=True)
class _Entry:
    owner: str
    content: bytes
    until: float


class Kept:
    """A store in memory, bounded in time, number and size; the oldest make room for the newest.

    With a board, what is kept is there for the processes that share it as well.
    """

    def __init__(
        self, board: Board | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._board = board
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    async def put(self, content: str, owner: str) -> str:
        """Keep a text for `owner`, and return its id.

        Raises:
            TooLarge: it is larger than all that may be kept.
        """
        data = content.encode("utf-8", "backslashreplace")
        if len(data) > BYTES:
            raise TooLarge(
                f"the results are larger than the {BYTES / 2**20:.0f} MiB that are kept",
                "Give output, a file that takes them all",
            )
        handle = secrets.token_urlsafe(16)
        self._entries[handle] = _Entry(owner, data, self._clock() + SECONDS)
        self._drop_old()
        if self._board is not None:
            try:
                told = {"bytes": len(data)}
                await self._board.write(handle, owner, told, data.decode(), is_over=True)
            except OllamaMCPError as error:
                logger.warning("other processes cannot read a result: %s", error.message)
        return handle

    async def get(self, handle: str, owner: str) -> str:
        """Return what was kept for `owner` under an id.

        Raises:
            NotFound: there is none, or none any more, or it is someone else's.
            TooLarge: it is kept by another process, and is more than that can share.
            OllamaMCPError: the store that others share is out of reach.
        """
        self._drop_old()
        entry = self._entries.get(handle)
        if entry is not None and entry.owner == owner:
            return entry.content.decode()
        found = await self._board.read(handle, owner) if self._board is not None else None
        if self._board is None or found is None:
            end = ", and end with the server" if self._board is None else ""
            raise NotFound(
                "there is no such result",
                f"Results are kept for {SECONDS / 60:.0f} minutes{end}; with output, ollama_batch "
                "writes them to a file",
            )
        text = await self._board.text(handle, is_over=True)
        if text is None:
            raise TooLarge(
                "the results are more than the state takes, so they are at the server that made "
                "them, and this is another",
                "Read them again, which may reach that one; with output, ollama_batch writes them "
                "to a file",
            )
        return text

    async def of(self, owner: str) -> dict[str, int]:
        """Return the ids of what is kept for `owner`, with its bytes, the newest first."""
        self._drop_old()
        mine = [(handle, kept) for handle, kept in self._entries.items() if kept.owner == owner]
        found = {handle: len(kept.content) for handle, kept in reversed(mine)}
        if self._board is not None:
            try:
                others = await self._board.listed(owner)
            except OllamaMCPError as error:
                logger.warning("results of other processes are not listed: %s", error.message)
            else:
                newest = sorted(others.items(), key=lambda each: each[1].beat, reverse=True)
                found |= {
                    handle: entry.told["bytes"] for handle, entry in newest if handle not in found
                }
        return found

    def _drop_old(self) -> None:
        now, size = self._clock(), 0
        for number, (handle, entry) in enumerate(reversed(list(self._entries.items()))):
            size += len(entry.content)
            if number >= MOST or size > BYTES or entry.until <= now:
                del self._entries[handle]
