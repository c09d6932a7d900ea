"""Places at the hosts: at most so many requests at each, and a line for those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

from ...progress import current

if TYPE_CHECKING:
    from .host import Host

#: Who waits: for one of these hosts, for this model, and what is told where there is a place.
Waiter: TypeAlias = "tuple[Sequence[Host], str, asyncio.Future[Host]]"


class Line:
    """Gives places; who waits takes the first that is left at any of its hosts, in order."""

    def __init__(self) -> None:
        self._waiting: list[Waiter] = []

    async def enter(self, hosts: Sequence[Host], model: str) -> Host:
        """Take a place at the first of the hosts that has one, and return it; wait if none has.

        Whoever is let in must leave. A place that is left is passed on, so that one that is free
        is nobody's who waits.
        """
        for host in hosts:
            if host.is_free:
                host.enter(model)
                return host
        if (progress := current.get()) is not None:
            names = " and ".join(host.name for host in hosts)
            progress.waits(f"queued: as many requests as may be are at {names}")
        turn: asyncio.Future[Host] = asyncio.get_running_loop().create_future()
        waiter = hosts, model, turn
        self._waiting.append(waiter)
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave(turn.result(), model)
            else:
                self._waiting.remove(waiter)
            raise

    def leave(self, host: Host, model: str) -> None:
        """Give a place back, or pass it on."""
        host.leave(model)
        for waiter in self._waiting:
            hosts, wanted, turn = waiter
            if host in hosts and not turn.done():
                host.enter(wanted)
                self._waiting.remove(waiter)
                turn.set_result(host)
                return
