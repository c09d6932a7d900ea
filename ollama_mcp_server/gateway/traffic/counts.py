"""How much each caller uses, and whether it may have more.

What is counted here is one process's; `shared` counts for all processes that share a state.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ...errors import RateLimited
from .line import first

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..access.caller import Caller

MINUTE = 60.0
#: Seconds after which a caller with too many requests at a time may come again: nobody knows.
SOON = 1.0


@dataclass(frozen=True)
class Standing:
    """How a caller stands when it comes."""

    #: Requests that wait or run.
    present: int
    #: Seconds until there are requests, and tokens, left of a minute; 0 if there are.
    requests: float = 0.0
    tokens: float = 0.0


def judge(caller: Caller, standing: Standing) -> None:
    """Let a caller pass who is within its own limits.

    Raises:
        RateLimited: it is not.
    """
    if caller.concurrency is not None and standing.present >= caller.concurrency:
        raise RateLimited(
            f"the key {caller.name} has {standing.present} requests at a time already, "
            "all that it may",
            "Wait until one of them has ended",
            retry_after=SOON,
        )
    for what, limit, wait in (
        ("requests", caller.requests_per_minute, standing.requests),
        ("tokens", caller.tokens_per_minute, standing.tokens),
    ):
        if wait:
            raise RateLimited(
                f"the key {caller.name} has used its {limit} {what} of this minute",
                f"Call again in {wait:.0f} s" if wait >= 1 else "Call again in a second",
                retry_after=round(wait, 1),
            )


@dataclass(eq=False)
class Stay:
    """A request that waits or runs."""

    #: Its caller's.
    name: str
    id: str = ""
    #: Whether it has a place at the daemon.
    runs: bool = False


class Counters(Protocol):
    """Who counts."""

    async def come(self, caller: Caller) -> Stay:
        """Count a caller's request, which must go again.

        Raises:
            RateLimited: the caller is over a limit of its own; then nothing is counted.
        """

    def go(self, stay: Stay) -> None:
        """Count a request no more."""

    def look(self, stay: Stay) -> None:
        """Take notice that a request has to wait, so that `pick` knows its caller."""

    def count(self, caller: Caller, tokens: int) -> None:
        """Count a caller's tokens against its minute."""

    def pick(self, names: Iterable[str]) -> str:
        """Return whose turn it is of the callers who wait, given in the order of their turns."""

    def present(self) -> dict[str, int]:
        """Return how many requests of each caller wait or run here, for those who have any."""

    async def aclose(self) -> None:
        """Tell what is left to tell, and close the connections."""


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


class Counts:
    """The counts of one process, which are all there is where nothing is shared."""

    def __init__(self, clock: Callable[[], float]) -> None:
        """Count by a clock of seconds that never run backwards."""
        self._now = clock
        self._uses: dict[str, Use] = {}

    async def come(self, caller: Caller) -> Stay:
        """Count a caller's request; see Counters."""
        judge(caller, self.standing(caller))
        return self.add(caller)

    def standing(self, caller: Caller) -> Standing:
        """Return how a caller stands."""
        use, now = self._uses.setdefault(caller.name, Use()), self._now()
        return Standing(
            use.present,
            use.requests.wait(caller.requests_per_minute, now),
            use.tokens.wait(caller.tokens_per_minute, now),
        )

    def add(self, caller: Caller, name: str = "") -> Stay:
        """Count a request, whatever the limits."""
        use = self._uses.setdefault(caller.name, Use())
        use.requests.add(1, self._now())
        use.present += 1
        return Stay(caller.name, name)

    def go(self, stay: Stay) -> None:
        """Count a request no more."""
        self._uses[stay.name].present -= 1

    def look(self, stay: Stay) -> None:
        """Do nothing: `pick` needs no knowledge."""

    def count(self, caller: Caller, tokens: int) -> None:
        """Count a caller's tokens against its minute."""
        self._uses.setdefault(caller.name, Use()).tokens.add(tokens, self._now())

    def pick(self, names: Iterable[str]) -> str:
        """Return whose turn it is: each in turn."""
        return first(names)

    def present(self) -> dict[str, int]:
        """Return how many requests of each caller wait or run, for those who have any."""
        return {name: use.present for name, use in self._uses.items() if use.present}

    async def aclose(self) -> None:
        """Do nothing: there are no connections."""
