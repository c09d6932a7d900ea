"""Results that were too long for an answer, kept for a while behind an unguessable id."""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from ...errors import NotFound, TooLarge

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
    """A store in memory, bounded in time, number and size; the oldest make room for the newest."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._entries: dict[str, _Entry] = {}

    def put(self, content: str, owner: str) -> str:
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
        return handle

    def get(self, handle: str, owner: str) -> str:
        """Return what was kept for `owner` under an id.

        Raises:
            NotFound: there is none, or none any more, or it is someone else's.
        """
        self._drop_old()
        entry = self._entries.get(handle)
        if entry is None or entry.owner != owner:
            raise NotFound(
                "there is no such result",
                f"Results are kept for {SECONDS / 60:.0f} minutes, and end with the server; with "
                "output, ollama_batch writes them to a file",
            )
        return entry.content.decode()

    def of(self, owner: str) -> dict[str, int]:
        """Return the ids of what is kept for `owner`, with its bytes, the newest first."""
        self._drop_old()
        mine = [(handle, kept) for handle, kept in self._entries.items() if kept.owner == owner]
        return {handle: len(kept.content) for handle, kept in reversed(mine)}

    def _drop_old(self) -> None:
        now, size = self._clock(), 0
        for number, (handle, entry) in enumerate(reversed(list(self._entries.items()))):
            size += len(entry.content)
            if number >= MOST or size > BYTES or entry.until <= now:
                del self._entries[handle]
