"""One request on its way: a place at the best host, and at the next best where that one fails."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx

from ...errors import DaemonUnreachable, ModelNotFound, OllamaMCPError, QueueFull
from ..catalog import full_name
from ..watched import ASKING
from .choice import BLOBS, CHANGES, candidates
from .errand import current

if TYPE_CHECKING:
    from .host import Host
    from .hosts import Hosts


class Trip:
    """A request that has not been answered yet, and the hosts that it was tried at."""

    def __init__(self, hosts: Hosts, path: str, model: str | None) -> None:
        """Begin with no host tried.

        Args:
            hosts: where it may go.
            path: of the request.
            model: that it needs, if any.
        """
        self._hosts = hosts
        self._path = path
        self._model = model
        self._errand = current.get()
        self._failed: dict[str, OllamaMCPError] = {}

    @property
    def _wanted(self) -> str | None:
        return self._errand.host if self._errand is not None else None

    @asynccontextmanager
    async def place(self) -> AsyncIterator[Host]:
        """Hold a place at the best host that was not tried yet.

        Raises:
            OllamaMCPError: there is no other; it says why.
        """
        if self._wanted is None:
            await self._hosts.look()
        left = self.left()
        if not left:
            raise none_answers(self._failed)
        if self._path not in ASKING:
            host = left[0]
            try:
                yield host
            finally:
                if self._path in CHANGES:
                    host.forget()
            return
        model = self._model or ""
        host = await self._hosts.line.enter(left, model)
        try:
            yield host
        finally:
            self._hosts.line.leave(host, model)

    def left(self) -> list[Host]:
        """Return the hosts at which the request may still be tried, the best first.

        Raises:
            InvalidArgument: the caller has to say which.
        """
        names = candidates(self._path, self._hosts.states(), self._model, self._wanted)
        by_name = {host.name: host for host in self._hosts.hosts}
        return [by_name[name] for name in names if name not in self._failed]

    def arrive(self, host: Host, *, refused: bool = False) -> None:
        """Note that a host answers, if only to refuse."""
        host.answer()
        if self._model and self._path in ASKING and not refused:
            host.has_loaded(self._model)
        if self._errand is not None:
            self._errand.note(self._path, host.name)

    def fail(self, host: Host, error: OllamaMCPError) -> None:
        """Note that a host failed before it answered anything, or raise what is no other's matter.

        One that refuses the connection, is silent or has a full queue has done nothing; where the
        connection broke, only what changes nothing is asked again.
        """
        error.details.setdefault("host", host.name)
        broke = isinstance(error.__cause__, httpx.TransportError)
        if isinstance(error, DaemonUnreachable):
            host.fail(error)
        elif broke and not (self._path in CHANGES or self._path.startswith(BLOBS)):
            host.forget()  # the next look tells whether it is down
        elif not isinstance(error, QueueFull):
            self._explain(error)
            raise error
        self._failed[host.name] = error

    def _explain(self, error: OllamaMCPError) -> None:
        """Say where a model is that is not at the host that was wanted, or where it may be."""
        if not (isinstance(error, ModelNotFound) and self._model):
            return
        name, states = full_name(self._model), self._hosts.states()
        down = [s.name for s in states if not s.is_up]
        if elsewhere := [s.name for s in states if s.has(name)]:
            error.hint = f"It is on {' and '.join(elsewhere)}. {error.hint}"
        elif down and not self._wanted:
            error.hint = f"What is on {' and '.join(down)} is not known: down. {error.hint}"


def none_answers(failed: Mapping[str, OllamaMCPError]) -> OllamaMCPError:
    """Return the error for hosts that all failed: that of a full one, which may be asked again."""
    errors = list(failed.values())
    errors.sort(key=lambda error: not isinstance(error, QueueFull))
    if len(errors) == 1 or (errors and isinstance(errors[0], QueueFull)):
        return errors[0]
    told = "; ".join(f"{name}: {error.message}" for name, error in failed.items())
    return DaemonUnreachable(
        f"none of the hosts answers ({told})",
        "Start Ollama there with `ollama serve`, or name others in OLLAMA_MCP_HOSTS",
    )
