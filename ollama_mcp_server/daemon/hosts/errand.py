"""What a call wants of the hosts, and which of them answered it; carried in its context."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

from ...errors import InvalidArgument

#: Asked on the way to an answer, and no answer itself where there is another.
_LOOKS = "/api/show"


@dataclass
class Errand:
    """One call: the host that it names, and those that have answered it."""

    host: str | None = None
    _answered: dict[str, None] = field(default_factory=dict)
    _shown: dict[str, None] = field(default_factory=dict)

    def note(self, path: str, host: str) -> None:
        """Note that a host answers a request of this call."""
        (self._shown if path == _LOOKS else self._answered)[host] = None

    @property
    def answered(self) -> str:
        """The hosts that answered, separated by commas; "" for none."""
        return ", ".join(self._answered or self._shown)


#: The errand that the code is on, where a call has one.
current: ContextVar[Errand | None] = ContextVar("errand", default=None)


@contextmanager
def errand(host: str | None, names: Collection[str]) -> Iterator[Errand]:
    """Go on an errand to a host, or to the best; what an errand around it wants holds for it too.

    Raises:
        InvalidArgument: there is no such host.
    """
    around = current.get()
    if host is None and around is not None:
        host = around.host
    if host is not None:
        check_host(host, names)
    gone = Errand(host)
    token = current.set(gone)
    try:
        yield gone
    finally:
        current.reset(token)


def wanted() -> str | None:
    """Return the host that the code's call names, or None."""
    gone = current.get()
    return gone.host if gone is not None else None


def check_host(host: str, names: Collection[str]) -> None:
    """Raise InvalidArgument, with the names that come near, if there is no such host."""
    if host in names:
        return
    lower = {name.lower(): name for name in names}
    near = [lower[name] for name in difflib.get_close_matches(host.lower(), lower, 3, 0.5)]
    told = f"Did you mean {' or '.join(near)}? " if near else ""
    raise InvalidArgument(
        f"there is no Ollama host {host[:60]!r}",
        f"{told}Hosts are {', '.join(names)} (OLLAMA_MCP_HOSTS)",
        nearest=near or None,
    )
