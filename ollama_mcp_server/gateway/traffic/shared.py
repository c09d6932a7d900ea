"""The counts of callers that several processes share, over a Valkey or Redis.

Requests and tokens of a minute, and requests at a time, are those of all processes together, and a
turn in the line of one goes to who has the fewest requests running on all of them. Requests of a
killed process count for half a minute more.

While the Valkey is out of reach, this process goes on by its own counts, which it has kept all
along: a limit is never off, but may be had once in each process. A Valkey that has lost its data
begins its minutes anew, and knows within a second what runs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from itertools import count
from secrets import token_hex
from typing import TYPE_CHECKING

from ...delegation.memory.valkey import address_of
from ...errors import OllamaMCPError, RateLimited
from .counts import Counters, Counts, Stay, judge
from .exchange import Exchange
from .turns import next_turn, passed_now

if TYPE_CHECKING:
    from pydantic import SecretStr

    from ..access.caller import Caller

logger = logging.getLogger(__name__)


def open_counters(
    state_url: SecretStr | None, *, clock: Callable[[], float] = time.monotonic
) -> Counters:
    """Return who counts where the state is kept at `state_url`: this process alone, or several.

    Where the URL is wrong or a package is missing, this process counts alone, and the log says so.

    Args:
        state_url: the setting; nothing is shared unless it names a Valkey or Redis.
        clock: seconds that never run backwards.
    """
    url = address_of(state_url.get_secret_value()) if state_url else None
    if url is None:
        return Counts(clock)
    from .ledger import Ledger  # here, for it loads redis and limits

    try:
        return Shared(Exchange(Ledger(url), clock), clock)
    except OllamaMCPError as error:
        told = "%s: each process counts the limits of keys by itself. %s"
        logger.warning(told, error.message, error.hint)
        return Counts(clock)


class Shared:
    """Counters of this process, of several that share them."""

    def __init__(self, exchange: Exchange, clock: Callable[[], float]) -> None:
        """Share over an exchange, which is closed with this."""
        self._own = Counts(clock)
        self._exchange = exchange
        self._process = token_hex(8)
        self._numbers = count()
        #: Turns that callers who wait have let pass.
        self._passed: dict[str, int] = {}

    async def come(self, caller: Caller) -> Stay:
        """Count a caller's request; see Counters."""
        lease = f"{self._process}/{next(self._numbers)}"
        standing = await self._exchange.ask(caller, lease)
        try:
            judge(caller, standing or self._own.standing(caller))
        except RateLimited:
            self._exchange.tell(caller.name, lease)
            raise
        stay = self._own.add(caller, lease)
        self._exchange.hold(stay)
        return stay

    def go(self, stay: Stay) -> None:
        """Count a request no more."""
        self._own.go(stay)
        self._exchange.let_go(stay)

    def look(self, stay: Stay) -> None:
        """Ask what the caller of a request that has to wait has running elsewhere."""
        self._exchange.tell(stay.name)

    def count(self, caller: Caller, tokens: int) -> None:
        """Count a caller's tokens against its minute."""
        self._own.count(caller, tokens)
        if caller.tokens_per_minute is not None:
            self._exchange.spend(caller.name, caller.tokens_per_minute, tokens)

    def pick(self, names: Iterable[str]) -> str:
        """Return whose turn it is: who has the fewest requests running, here and elsewhere."""
        waiting = list(names)
        held, elsewhere = self._exchange.held, self._exchange.elsewhere
        running = {
            name: elsewhere.get(name, 0) + sum(stay.runs for stay in held.get(name, ()))
            for name in waiting
        }
        chosen = next_turn(waiting, running, self._passed)
        self._passed = passed_now(waiting, chosen, self._passed)
        return chosen

    def present(self) -> dict[str, int]:
        """Return how many requests of each caller wait or run here, for those who have any."""
        return self._own.present()

    async def aclose(self) -> None:
        """Tell what is left to tell, and close the connections."""
        await self._exchange.aclose()
