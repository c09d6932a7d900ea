"""What is being done at this moment: the requests that are answered, and how fast models write."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from ...daemon.catalog import full_name
from ..access.guard import CALLER

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from ...daemon.watched import End

#: waiting: for its turn. asking: a model loads, or reads. writing: it writes. working: between.
Phase: TypeAlias = Literal["waiting", "asking", "writing", "working"]


@dataclass(eq=False)
class Visit:
    """One request over HTTP, from its arrival to the end of its answer."""

    id: str
    route: str
    #: Monotonic seconds.
    since: float
    caller: str | None = None
    model: str | None = None
    #: How often models were asked for it.
    asked: int = 0
    #: Tokens that models wrote for it.
    tokens: int = 0
    is_over: bool = False
    #: The asking that is under way; several may be.
    turns: list[Turn] = field(default_factory=list)


#: The request that the running code answers.
VISIT: ContextVar[Visit | None] = ContextVar("visit", default=None)


@dataclass(eq=False)
class Turn:
    """One asking of a model, from the request to the daemon to the end of its answer."""

    live: Live
    path: str
    model: str | None
    visit: Visit | None
    caller: str | None
    span: Span | None = None
    since: float = field(default_factory=time.monotonic)
    status: int = 0
    tokens: int = 0
    first: float | None = None
    last: float | None = None

    def answered(self, status: int) -> None:
        """Note that the answer begins."""
        self.status = status

    def heard(self, parts: int) -> None:
        """Note that parts of the answer came, each about a token."""
        if self.status != 200:
            return
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.tokens += parts
        self.live.written += parts
        if self.visit is not None:
            self.visit.tokens += parts

    def ended(self, end: End | None) -> None:
        """Note that the answer is over."""
        self.live.leave(self, end)

    @property
    def rate(self) -> float | None:
        """Tokens a second so far."""
        if self.first is None or self.last is None or self.last - self.first < 0.05:
            return None
        return (self.tokens - 1) / (self.last - self.first)


class Live:
    """All that is going on."""

    def __init__(self, ended: Callable[[Turn, End | None], None], mcp: str = "/mcp") -> None:
        """Tell `ended` of every asking that is over; `mcp` is the path of the MCP endpoint."""
        self._ended = ended
        self._mcp = mcp
        self.visits: set[Visit] = set()
        self.turns: set[Turn] = set()
        #: Tokens that models have written since the start.
        self.written = 0

    def begin(self, path: str, model: str | None) -> Turn:
        """Watch an asking that begins now, on behalf of the running request."""
        visit, caller = VISIT.get(), CALLER.get()
        # What goes on after its request, or in an MCP session, stands alone.
        if visit is not None and (visit.is_over or visit.route == self._mcp):
            visit = None
        name = full_name(model) if model else None
        turn = Turn(self, path, name, visit, caller.name if caller else None)
        if visit is not None:
            visit.asked += 1
            visit.model = turn.model or visit.model
            visit.caller = turn.caller
            visit.turns.append(turn)
        self.turns.add(turn)
        return turn

    def leave(self, turn: Turn, end: End | None) -> None:
        """Forget an asking that is over."""
        if turn not in self.turns:
            return
        self.turns.discard(turn)
        if turn.visit is not None:
            turn.visit.turns.remove(turn)
        self._ended(turn, end)

    def rows(self) -> list[dict[str, Any]]:
        """Return what is going on, the oldest first."""
        now = time.monotonic()
        told = [
            (visit.since, visit.id, visit.route, visit.caller, visit.model, visit.tokens,
             phase_of(visit), visit.turns)
            for visit in self.visits
            if visit.route != self._mcp
        ] + [
            (turn.since, "", self._mcp, turn.caller, turn.model, turn.tokens,
             "writing" if turn.tokens else "asking", [turn])
            for turn in self.turns
            if turn.visit is None
        ]  # fmt: skip
        return [
            {
                "id": number,
                "route": route,
                "caller": caller,
                "model": model,
                "phase": phase,
                "seconds": round(now - since, 1),
                "tokens": tokens,
                "tokens_per_second": rate_of(turns),
            }
            for since, number, route, caller, model, tokens, phase, turns in sorted(
                told, key=lambda row: row[0]
            )
        ]


def phase_of(visit: Visit) -> Phase:
    """Return what a request is at."""
    if visit.turns:
        return "writing" if any(turn.tokens for turn in visit.turns) else "asking"
    return "working" if visit.asked else "waiting"


def rate_of(turns: list[Turn]) -> float | None:
    """Return the tokens a second of askings together; None before there are any."""
    rates = [turn.rate for turn in turns if turn.rate is not None]
    return round(sum(rates), 1) if rates else None
