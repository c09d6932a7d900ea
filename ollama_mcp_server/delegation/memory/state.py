"""What outlives a call, wherever it is kept.

Everything in a State lasts a week after its last change, and then goes by itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anyio import to_thread

if TYPE_CHECKING:
    from key_value.aio.protocols import AsyncKeyValue

#: Seconds that an entry is kept after its last change.
LASTS = 7 * 86_400


@dataclass(frozen=True)
class State:
    """A store, and how to tell of it; `where` holds no password.

    Its methods raise OllamaMCPError if the store is out of reach or refuses.
    """

    store: AsyncKeyValue
    where: str
    lasts: float = LASTS
    #: Turns what this kind of store raises into our errors.
    told: Callable[[], AbstractContextManager[None]] = nullcontext
    #: Begins the names of collections, where others may use the same store.
    prefix: str = ""
    #: Drops what has expired, where the store does not do so by itself.
    sweep: Callable[[], None] | None = None
    close: Callable[[], Awaitable[None]] | None = None

    async def get(self, collection: str, key: str) -> dict[str, Any] | None:
        """Return an entry, or None if there is none or it has expired."""
        with self.told():
            return await self.store.get(key, collection=self.prefix + collection)

    async def put(self, collection: str, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Keep entries under their keys, on Valkey and Redis all or none; others stay."""
        keys, values = list(entries), list(entries.values())
        with self.told():
            await self.store.put_many(
                keys, values, collection=self.prefix + collection, ttl=self.lasts
            )

    async def delete(self, collection: str, key: str) -> bool:
        """Drop an entry; return whether it was there."""
        with self.told():
            return await self.store.delete(key, collection=self.prefix + collection)

    async def tidy(self) -> None:
        """Give back the room of what has expired."""
        if self.sweep:
            with self.told():
                await to_thread.run_sync(self.sweep)

    async def aclose(self) -> None:
        """Close the connections."""
        if self.close:
            await self.close()
