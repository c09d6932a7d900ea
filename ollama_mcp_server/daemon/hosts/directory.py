"""The models of several hosts, as a catalog."""

from __future__ import annotations

from ..catalog import Catalog
from ..wire import Part
from .hosts import Hosts


class Directory(Catalog):
    """What the hosts have, all or the one that a call names; each host remembers its own."""

    def __init__(self, hosts: Hosts) -> None:
        super().__init__(hosts)
        self._hosts = hosts

    async def installed(self) -> list[Part]:
        """Return the rows of `/api/tags`, newest first; `hosts` tells where each is."""
        return list((await self._hosts.merged("/api/tags"))["models"])

    async def running(self) -> list[Part]:
        """Return the rows of `/api/ps`; `host` tells where each is."""
        return list((await self._hosts.merged("/api/ps"))["models"])

    def forget(self) -> None:
        """Ask anew next time."""
        for host in self._hosts.hosts:
            host.forget()
