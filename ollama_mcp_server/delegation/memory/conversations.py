"""Conversations that the server keeps, so that a caller sends only its newest message.

One entry holds a conversation, another the list of its owner's, since a store need not be able to
enumerate. A conversation whose line in that list is lost can be gone on with all the same, and is
in the list again after its next turn.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any
from weakref import WeakValueDictionary

import anyio

from ...errors import Conflict, NotFound, TooLarge
from .conversation import Conversation, Summary, as_json, summary
from .state import State

#: What a caller names to begin a conversation.
NEW = "new"
#: Conversations that an owner may have at a time.
MAX_CONVERSATIONS = 200
_COLLECTION = "conversations"
#: 160 random bits, in letters and digits that no file system and few models confuse.
_HANDLE = re.compile(r"conv_[a-z2-7]{32}")


class Conversations:
    """The conversations of all callers.

    Turns of one conversation follow one another within a process. Another process that has changed
    it meanwhile is noticed, but for the milliseconds of the saving itself.
    """

    def __init__(self, state: State, *, most: int = MAX_CONVERSATIONS) -> None:
        self._state = state
        self._most = most
        self._begun: Counter[str] = Counter()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def turn(self, handle: str, owner: str) -> AsyncIterator[Conversation]:
        """Hold a conversation, or a new one for "new", and save it if the block ends well.

        A block that fails or is cancelled leaves it as it was; of a new one nothing is left.

        Raises:
            NotFound: the owner has no such conversation.
            TooLarge: a new one would be one too many.
            Conflict: another process has changed or forgotten it meanwhile.
        """
        if handle == NEW:
            conversation = await self.new(owner)
            self._begun[conversation.owner] += 1
            try:
                yield conversation
                await self.save(conversation)
            finally:
                self._begun[conversation.owner] -= 1
        else:
            async with self._lock(handle):
                conversation = await self.load(handle, owner)
                yield conversation
                await self.save(conversation)

    async def new(self, owner: str) -> Conversation:
        """Return an empty conversation, which is kept from its first `save` on.

        Raises:
            TooLarge: the owner has as many as may be.
        """
        whose = hashed(owner)
        await self._state.tidy()
        async with self._lock(whose):
            count = len(await self._rows(whose)) + self._begun[whose]
        if count >= self._most:
            raise TooLarge(
                f"{count} conversations are kept already, and {self._most} may be",
                "Go on with one of them, leave conversation out, or forget some with "
                "ollama_conversations (forget: a handle, or all; toolset conversations)",
            )
        code = base64.b32encode(secrets.token_bytes(20)).decode().lower()
        return Conversation(f"conv_{code}", whose)

    async def load(self, handle: str, owner: str) -> Conversation:
        """Return a conversation of an owner.

        Raises:
            NotFound: there is none of that handle, it has expired, or it is another's.
        """
        kept = await self._state.get(_COLLECTION, handle) if _HANDLE.fullmatch(handle) else None
        if kept is None or kept["owner"] != hashed(owner):
            raise NotFound(
                "there is no conversation of that handle",
                f"It was forgotten, has expired ({_days(self._state.lasts)} after its last turn) "
                'or is another caller\'s: begin one with conversation: "new"',
            )
        messages = json.loads(kept["messages"])
        return Conversation(handle, kept["owner"], messages, kept["model"], kept["version"])

    async def save(self, conversation: Conversation) -> None:
        """Keep a conversation for another week.

        Raises:
            Conflict: it has been changed or forgotten since it was loaded.
        """
        handle, whose = conversation.handle, conversation.owner
        # Once begun it is done whole: the conversation and its line in the list.
        with anyio.CancelScope(shield=True):
            async with self._lock(whose):
                kept = await self._state.get(_COLLECTION, handle)
                if (kept["version"] if kept else 0) != conversation.version:
                    raise Conflict(
                        "another call has changed or forgotten the conversation meanwhile, so "
                        "this turn was not kept",
                        "Send the message again, or begin another with conversation: "
                        '"new" if it was forgotten',
                    )
                entry = {
                    "owner": whose,
                    "model": conversation.model,
                    "version": conversation.version + 1,
                    # as text: the store would sort the names in it, a call's arguments included
                    "messages": as_json(conversation.messages),
                }
                row = asdict(summary(conversation, datetime.now(timezone.utc)))
                rows = {**await self._rows(whose), handle: row}
                await self._state.put(_COLLECTION, {handle: entry, _list_of(whose): {"rows": rows}})
                conversation.version += 1

    async def listed(self, owner: str) -> list[Summary]:
        """Return an owner's conversations, the one that was used last first."""
        rows = await self._rows(hashed(owner))
        found = [Summary(**row) for row in rows.values()]
        return sorted(found, key=lambda line: line.updated, reverse=True)

    async def forget(self, handle: str, owner: str) -> None:
        """Drop a conversation.

        Raises:
            NotFound: the owner has no such conversation.
        """
        await self._drop([(await self.load(handle, owner)).handle], hashed(owner))

    async def forget_all(self, owner: str) -> int:
        """Drop an owner's conversations; return how many there were."""
        handles = [line.handle for line in await self.listed(owner)]
        await self._drop(handles, hashed(owner))
        return len(handles)

    async def _drop(self, handles: list[str], whose: str) -> None:
        async with self._lock(whose):
            rows = await self._rows(whose)
            for handle in handles:
                await self._state.delete(_COLLECTION, handle)
                rows.pop(handle, None)
            await self._state.put(_COLLECTION, {_list_of(whose): {"rows": rows}})

    async def _rows(self, whose: str) -> dict[str, Any]:
        """Return the lines of an owner's list, without those of conversations that have expired."""
        kept = await self._state.get(_COLLECTION, _list_of(whose))
        rows: dict[str, Any] = kept["rows"] if kept else {}
        now = datetime.now(timezone.utc)
        for handle, row in list(rows.items()):
            age = (now - datetime.fromisoformat(row["updated"])).total_seconds()
            # A line may be older than its conversation, if two processes wrote the list at once.
            if age > self._state.lasts and await self._state.get(_COLLECTION, handle) is None:
                del rows[handle]
        return rows

    async def aclose(self) -> None:
        """Close the store's connections."""
        await self._state.aclose()

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())


def hashed(owner: str) -> str:
    """Return what stands for an owner in the store, which need not know people's names."""
    return hashlib.sha256(owner.encode()).hexdigest()[:32]


def _list_of(whose: str) -> str:
    return f"owner_{whose}"


def _days(seconds: float) -> str:
    return f"{seconds / 86_400:g} days"
