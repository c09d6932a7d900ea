"""How much each caller may ask for, and when: rates, requests at a time, and a fair line.

The limits are those of one process: where several serve, each counts for itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Protocol

from ...errors import OllamaMCPError, RateLimited
from ..access.caller import Caller
from .line import Line

MINUTE = 60.0
#: Seconds after which a caller with too many requests at a time may come again: nobody knows.
SOON = 1.0


class Watch(Protocol):
    """Who is told what the limits do, such as the metrics; none of it may block or raise."""

    def admitted(self, caller: Caller, model: str | None, waited: float) -> None:
        """Note that a request has its place, after so many seconds."""

    def refused(self, caller: Caller, model: str | None, error: OllamaMCPError) -> None:
        """Note that a request was refused."""

    def left(self, caller: Caller, model: str | None, held: float, tokens: int) -> None:
        """Note that a request has left its place, after so many seconds and tokens."""


@dataclass
class Minute:
    """How much was used in the running minute, which begins with its first use."""

    used: int = 0
    ends: float = 0.0

    def wait(self, limit: int | None, now: float) -> float:
        """Return the seconds until there is some left; 0 if there is."""
        return 0.0 if limit is None or self.used < limit or now >= self.ends else self.ends - now

    def add(self, number: int, now: float) -> None:
        """Count what was used."""
        if now >= self.ends:
            self.used, self.ends = 0, now + MINUTE
        self.used += number


@dataclass
class Use:
    """What a caller uses now."""

    #: Requests that wait or run.
    present: int = 0
    requests: Minute = field(default_factory=Minute)
    tokens: Minute = field(default_factory=Minute)


class Place:
    """A request's place at the daemon."""

    def __init__(self, limits: Limits, caller: Caller, model: str | None, waited: float) -> None:
        self.caller = caller
        self.model = model
        #: Seconds that the request waited for it.
        self.waited = waited
        #: Tokens counted so far.
        self.tokens = 0
        self._limits = limits
        self._since: float | None = limits.now()

    def count(self, tokens: int) -> None:
        """Count tokens, of prompt and answer together, once they are known; also after leaving."""
        self.tokens += tokens
        self._limits.count(self.caller, tokens)

    def leave(self) -> None:
        """Give the place back before the request ends, such as when only its reader is slow."""
        if self._since is not None:
            held, self._since = self._limits.now() - self._since, None
            self._limits.leave(self, held)


class Limits:
    """The limits of every caller, and the line that they share."""

    def __init__(
        self,
        parallel: int,
        queue: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        watch: Watch | None = None,
    ) -> None:
        """Have `parallel` requests at the daemon at once, and let `queue` wait.

        Args:
            parallel: requests at the daemon at once.
            queue: requests that may wait.
            clock: seconds that never run backwards.
            watch: is told what happens.
        """
        self.line = Line(parallel, queue)
        self.now = clock
        self._watch = watch
        self._uses: dict[str, Use] = {}

    @asynccontextmanager
    async def place(self, caller: Caller, model: str | None = None) -> AsyncIterator[Place]:
        """Hold a place at the daemon for a caller's request to a model.

        It may be entered in one task and left in another, as streamed answers are.

        Args:
            caller: whose limits count.
            model: the model's own name, once aliases and profiles are resolved; None if the
                request names none.

        Raises:
            PermissionDenied: the caller may not use the model.
            RateLimited: the caller is over a limit of its own; `retry_after` tells when not.
            QueueFull: too many wait already.
        """
        async with self.visit(caller, model):
            began = self.now()
            try:
                await self.line.enter(caller.name)
            except OllamaMCPError as error:
                self._refused(caller, model, error)
                raise
            place = Place(self, caller, model, self.now() - began)
            try:
                if self._watch is not None:
                    self._watch.admitted(caller, model, place.waited)
                yield place
            finally:
                place.leave()

    @asynccontextmanager
    async def visit(self, caller: Caller, model: str | None = None) -> AsyncIterator[None]:
        """Count a request against its caller's own limits, for as long as it is held.

        It is all that is asked of a request that needs no place at the daemon.

        Raises:
            PermissionDenied: the caller may not use the model.
            RateLimited: the caller is over a limit of its own; `retry_after` tells when not.
        """
        use = self._uses.setdefault(caller.name, Use())
        try:
            if model is not None:
                caller.check_model(model)
            check(caller, use, now := self.now())
        except OllamaMCPError as error:
            self._refused(caller, model, error)
            raise
        use.requests.add(1, now)
        use.present += 1
        try:
            yield
        finally:
            use.present -= 1

    def count(self, caller: Caller, tokens: int) -> None:
        """Count a caller's tokens against its minute."""
        self._uses.setdefault(caller.name, Use()).tokens.add(tokens, self.now())

    def leave(self, place: Place, held: float) -> None:
        """Pass a place on that was held for so many seconds."""
        self.line.leave(held)
        if self._watch is not None:
            self._watch.left(place.caller, place.model, held, place.tokens)

    def present(self) -> dict[str, int]:
        """Return how many requests of each caller wait or run, for those who have any."""
        return {name: use.present for name, use in self._uses.items() if use.present}

    def _refused(self, caller: Caller, model: str | None, error: OllamaMCPError) -> None:
        if self._watch is not None:
            self._watch.refused(caller, model, error)


def check(caller: Caller, use: Use, now: float) -> None:
    """Let a caller pass who is within its own limits.

    Raises:
        RateLimited: it is not.
    """
    if caller.concurrency is not None and use.present >= caller.concurrency:
        raise RateLimited(
            f"the key {caller.name} has {use.present} requests at a time already, all that it may",
            "Wait until one of them has ended",
            retry_after=SOON,
        )
    for what, limit, minute in (
        ("requests", caller.requests_per_minute, use.requests),
        ("tokens", caller.tokens_per_minute, use.tokens),
    ):
        if wait := minute.wait(limit, now):
            raise RateLimited(
                f"the key {caller.name} has used its {limit} {what} of this minute",
                f"Call again in {wait:.0f} s" if wait >= 1 else "Call again in a second",
                retry_after=round(wait, 1),
            )
