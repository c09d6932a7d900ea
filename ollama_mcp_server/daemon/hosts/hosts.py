"""Several hosts as one client: each request goes to the best of them, or to the next best."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing

from ...address import Address
from ...errors import OllamaMCPError
from ..client import Client
from ..wire import Part
from . import merging
from .choice import State, subject
from .errand import wanted
from .host import Host, of_each
from .line import Line
from .trip import Trip, none_answers

#: What all hosts are asked, and how one answer is made of theirs.
MERGED = {
    "/api/tags": (Host.installed, merging.installed),
    "/api/ps": (Host.running_models, merging.running),
}


class Hosts(Client):
    """The client of several hosts, for those who need not know that there are several."""

    def __init__(self, hosts: Sequence[Host]) -> None:
        """Ask hosts, the first of them first where nothing else tells them apart."""
        self.hosts = tuple(hosts)
        self.line = Line()
        addresses = [host.client.address for host in self.hosts]
        self.address = Address(
            ", ".join(address.url for address in addresses),
            all(address.is_loopback for address in addresses),
        )

    async def aclose(self) -> None:
        """Close every connection; requests still under way end."""
        for host in self.hosts:
            await host.aclose()

    async def look(self) -> list[State]:
        """Return the state of each host; one that was down is asked on the side."""
        self._probe()
        await of_each([host for host in self.hosts if host.down is None], Host.look)
        return self.states()

    def states(self) -> list[State]:
        """Return what is known of each host, without asking."""
        return [host.state() for host in self.hosts]

    def _probe(self) -> None:
        for host in self.hosts:
            host.probe()

    async def merged(self, path: str) -> Part:
        """Return the rows of all hosts that are up, or of the one that is wanted.

        Args:
            path: `/api/tags` or `/api/ps`.

        Raises:
            DaemonUnreachable: none answers.
        """
        ask, merge = MERGED[path]
        name = wanted()
        named = [host for host in self.hosts if host.name == (name or host.name)]
        self._probe()
        asked = [host for host in named if host.down is None] or named
        answers = await of_each(asked, ask)
        there = [
            (host.name, rows) for host, rows in zip(asked, answers, strict=True) if rows is not None
        ]
        if not there:
            raise none_answers({host.name: host.down.error for host in named if host.down})
        if path == "/api/ps":  # for each model, first the row of the host that would be asked
            place = {host.name: (not host.is_free, host.running) for host in self.hosts}
            there.sort(key=lambda answer: place[answer[0]])
        return {"models": merge(there)}

    async def _whole(
        self, method: str, path: str, body: Part | None, content: bytes | None
    ) -> Part:
        if method == "GET" and path in MERGED:
            return await self.merged(path)
        trip = Trip(self, path, subject(path, body))
        while True:
            async with trip.place() as host:
                try:
                    answer = await host.client._whole(method, path, body, content)
                except OllamaMCPError as error:
                    trip.fail(host, error)
                    continue
                trip.arrive(host)
                return answer

    async def _parts(self, path: str, body: Part) -> AsyncGenerator[Part, None]:
        trip = Trip(self, path, subject(path, body))
        while True:
            async with trip.place() as host:
                begun = False
                try:
                    async with aclosing(host.client._parts(path, body)) as parts:
                        async for part in parts:
                            if not begun:
                                begun = True
                                trip.arrive(host)
                            yield part
                    return
                except OllamaMCPError as error:
                    if begun:  # the rest of another's answer would not be its rest
                        raise
                    trip.fail(host, error)
