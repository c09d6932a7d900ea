"""What the hosts are at, for people: asked now, those that were down too."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..wire import Part
from .errand import wanted

if TYPE_CHECKING:
    from .host import Host


async def survey(hosts: Iterable[Host]) -> list[Part]:
    """Return a row for each host, or for the one that the call names: where, which version, how."""
    name = wanted()
    asked = [host for host in hosts if host.name == (name or host.name)]
    from .host import of_each  # here, for the tools' way to their list need not pass it

    return await of_each(asked, _row)


async def _row(host: Host) -> Part:
    told = await host.ask(lambda: host.client.request("GET", "/api/version"))
    row: Part = {"name": host.name, "url": host.client.address.url}
    row["state"] = "up" if host.down is None else "down"
    if told is not None:
        row["version"] = told.get("version")
    row |= {"requests": host.running, "limit": host.limit}
    if host.down is not None:
        row["error"] = host.down.error.message
        row["down_seconds"] = round(time.monotonic() - host.down.since, 1)
    return {key: value for key, value in row.items() if value is not None}


def line_of(row: Part) -> str:
    """Return a host's row as a line of text."""
    told = f"{row['name']} at {row['url']}: "
    if row["state"] == "down":
        return f"{told}down for {row['down_seconds']:.0f} s, {row['error']}"
    limit = f" of {row['limit']}" if "limit" in row else ""
    return f"{told}Ollama {row.get('version', '')}, {row['requests']}{limit} requests under way"


def silent(hosts: Iterable[Host]) -> list[str]:
    """Return a note for each host that is down, for those who are shown the others' models."""
    name = wanted()
    return [
        f"the host {host.name} is down, its models are not shown: {host.down.error.message}"
        for host in hosts
        if host.down is not None and host.name == (name or host.name)
    ]
