"""What a process tells a ledger of its callers, and what it is told of others'.

A request asks the ledger whether it may come. All else goes by a task in the background: what has
gone, the tokens, and once a second that the others are still there.

A ledger out of reach is noticed by the first request within a second, and holds up no other, until
the task finds it again, and tells it what is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from contextvars import Context
from typing import TYPE_CHECKING

import anyio

from ...errors import OllamaMCPError

if TYPE_CHECKING:
    from ..access.caller import Caller
    from .counts import Standing, Stay
    from .ledger import Ledger

logger = logging.getLogger(__name__)

#: Seconds between two renewals of all leases, and until a ledger out of reach is tried again.
BEAT = 1.0
PAUSE = 5.0
#: Seconds that the end of a process waits for what it has to tell.
LAST = 1.0


class Exchange:
    """The requests of this process, and the ledger that knows of them."""

    def __init__(
        self, ledger: Ledger, clock: Callable[[], float], beat: float = BEAT, pause: float = PAUSE
    ) -> None:
        """Tell a ledger, which is closed with this.

        Args:
            ledger: where all processes count.
            clock: seconds that never run backwards.
            beat: seconds between two renewals of all leases; less than half of what they last.
            pause: seconds until a ledger out of reach is tried again.
        """
        #: The requests of each caller that has any.
        self.held: dict[str, set[Stay]] = {}
        #: What callers who wait or run here have running elsewhere.
        self.elsewhere: dict[str, int] = {}
        self._ledger = ledger
        self._now = clock
        self._beat, self._pause = beat, pause
        #: Callers of whom there is news, with the leases to return; and tokens, by their limit.
        self._news: dict[str, set[str]] = {}
        self._spent: Counter[tuple[str, int]] = Counter()
        #: Since when the ledger is out of reach, and when it is tried again.
        self._lost: float | None = None
        self._again = 0.0
        #: Requests that wait for its answer: none waits for longer than the first that got none.
        self._asking: set[anyio.CancelScope] = set()
        self._called = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._is_closed = False

    async def ask(self, caller: Caller, lease: str) -> Standing | None:
        """Ask for a caller's request to come; return None if the ledger is out of reach."""
        if self._lost is not None:
            return None
        with anyio.CancelScope() as asking:
            self._asking.add(asking)
            try:
                return await self._ledger.admit(caller, lease)
            except OllamaMCPError as error:
                self._lose(error)
            except asyncio.CancelledError:
                self.tell(caller.name, lease)  # nobody knows whether it was taken
                raise
            finally:
                self._asking.remove(asking)
        return None

    def hold(self, stay: Stay) -> None:
        """Renew the lease of a request from now on."""
        self.held.setdefault(stay.name, set()).add(stay)
        self._work()

    def let_go(self, stay: Stay) -> None:
        """Return the lease of a request that was held."""
        held = self.held[stay.name]
        held.remove(stay)
        if not held:
            del self.held[stay.name]
        self.tell(stay.name, stay.id)

    def tell(self, name: str, *gone: str) -> None:
        """Tell soon what a caller has here, and ask what it has elsewhere; return leases."""
        self._news.setdefault(name, set()).update(gone)
        self._call()

    def spend(self, name: str, limit: int, tokens: int) -> None:
        """Tell soon what a caller who has this limit has used."""
        if tokens and self._lost is None:
            self._spent[name, limit] += tokens
            self._call()

    async def aclose(self) -> None:
        """Tell what is left to tell, and close the connections."""
        self._is_closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task], timeout=LAST)
        if self._lost is None:
            with anyio.move_on_after(LAST), suppress(OllamaMCPError):
                await self._settle(self._news)
        await self._ledger.aclose()

    def _call(self) -> None:
        self._called.set()
        self._work()

    def _work(self) -> None:
        """See to it that the task is there; it ends when there is nothing to tell any more."""
        if not self._is_closed and (self._task is None or self._task.done()):
            # in no request's context, for it goes on after the request
            self._task = Context().run(asyncio.create_task, self._keep())

    async def _keep(self) -> None:
        due = self._now() + self._beat
        # a cancellation may be lost to a deadline or a connection that ends at the same time
        while (self.held or self._news or self._spent) and not self._is_closed:
            if self._lost is None:
                with anyio.move_on_after(due - self._now()):
                    await self._called.wait()
            else:
                await anyio.sleep(self._again - self._now())
            self._called.clear()
            everybody = self._lost is not None or self._now() >= due
            try:
                await self._settle({*self.held, *self._news} if everybody else self._news)
            except OllamaMCPError as error:
                self._lose(error)
            else:
                self._find()
            if everybody:
                due = self._now() + self._beat

    async def _settle(self, names: Iterable[str]) -> None:
        for name in list(names):
            gone, held = self._news.pop(name, set()), self.held.get(name, set())
            runs = [stay.id for stay in held if stay.runs]
            waits = [stay.id for stay in held if not stay.runs]
            elsewhere = None
            try:
                elsewhere = await self._ledger.settle(name, gone, waits, runs)
            finally:
                if elsewhere is None:  # it goes on being news
                    self._news.setdefault(name, set()).update(gone)
            self.elsewhere.pop(name, None)
            if name in self.held:
                self.elsewhere[name] = elsewhere
        while self._spent:
            (name, limit), tokens = self._spent.popitem()
            await self._ledger.spend(name, limit, tokens)

    def _lose(self, error: OllamaMCPError) -> None:
        now = self._now()
        if self._lost is None:
            self._lost = now
            told = "%s: until it does, each process counts the limits of keys by itself"
            logger.warning(told, error.message)
            for asking in self._asking:
                asking.cancel()
        elif now - self._lost > self._ledger.lasts:
            self._news.clear()  # such leases are believed no more
        self._again = now + self._pause
        self.elsewhere.clear()
        self._spent.clear()

    def _find(self) -> None:
        if self._lost is not None:
            self._lost = None
            logger.info("%s answers again: the limits of keys are shared", self._ledger.where)
