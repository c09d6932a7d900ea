"""How much each caller may ask for, and when: rates, requests at a time, and a fair line.

Each process has a line of its own. What a caller may ask for is counted in one process, or by all
that share a Valkey or Redis: see `counts` and `shared`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from ...errors import OllamaMCPError
from ..access.caller import Caller
from .counts import Counters, Counts, Stay
from .line import Line


class Watch(Protocol):
    """Who is told what the limits do, such as the metrics; none of it may block or raise."""

    def admitted(self, caller: Caller, model: str | None, waited: float) -> None:
        """Note that a request has its place, after so many seconds."""

    def refused(self, caller: Caller, model: str | None, error: OllamaMCPError) -> None:
        """Note that a request was refused."""

    def left(self, caller: Caller, model: str | None, held: float, tokens: int) -> None:
        """Note that a request has left its place, after so many seconds and tokens."""


class Place:
    """A request's place at the daemon."""

    def __init__(
        self, limits: Limits, caller: Caller, model: str | None, stay: Stay, waited: float
    ) -> None:
        stay.runs = True
        self.stay = stay
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
            self.stay.runs = False
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
        counters: Counters | None = None,
    ) -> None:
        """Have `parallel` requests at the daemon at once, and let `queue` wait.

        Args:
            parallel: requests at the daemon at once.
            queue: requests that may wait.
            clock: seconds that never run backwards.
            watch: is told what happens.
            counters: counts what callers use; without, it is counted in this process.
        """
        self._counters = counters or Counts(clock)
        self.line = Line(parallel, queue, self._counters.pick)
        self.now = clock
        self._watch = watch

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
        async with self.visit(caller, model) as stay:
            began = self.now()
            if self.line.is_full:
                self._counters.look(stay)
            try:
                await self.line.enter(caller.name)
            except OllamaMCPError as error:
                self._refused(caller, model, error)
                raise
            place = Place(self, caller, model, stay, self.now() - began)
            try:
                if self._watch is not None:
                    self._watch.admitted(caller, model, place.waited)
                yield place
            finally:
                place.leave()

    @asynccontextmanager
    async def visit(self, caller: Caller, model: str | None = None) -> AsyncIterator[Stay]:
        """Count a request against its caller's own limits, for as long as it is held.

        It is all that is asked of a request that needs no place at the daemon.

        Raises:
            PermissionDenied: the caller may not use the model.
            RateLimited: the caller is over a limit of its own; `retry_after` tells when not.
        """
        try:
            if model is not None:
                caller.check_model(model)
            stay = await self._counters.come(caller)
        except OllamaMCPError as error:
            self._refused(caller, model, error)
            raise
        try:
            yield stay
        finally:
            self._counters.go(stay)

    def count(self, caller: Caller, tokens: int) -> None:
        """Count a caller's tokens against its minute."""
        self._counters.count(caller, tokens)

    def leave(self, place: Place, held: float) -> None:
        """Pass a place on that was held for so many seconds."""
        self.line.leave(held)
        if self._watch is not None:
            self._watch.left(place.caller, place.model, held, place.tokens)

    def present(self) -> dict[str, int]:
        """Return how many requests of each caller wait or run, for those who have any.

        They are this process's own, also where the limits are shared.
        """
        return self._counters.present()

    async def aclose(self) -> None:
        """Tell other processes what is left to tell, and close the connection to them."""
        await self._counters.aclose()

    def _refused(self, caller: Caller, model: str | None, error: OllamaMCPError) -> None:
        if self._watch is not None:
            self._watch.refused(caller, model, error)
