"""What is looked after while the gateway serves: the daemon's answers, and the MCP servers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from ...agent.definitions.configuration import judged
from ...daemon.watched import watch
from ...errors import OllamaMCPError
from .metrics import latest

if TYPE_CHECKING:
    from ...agent.definitions.documents import Definition
    from ...agent.servers.hub import Hub, Status
    from ...app import App
    from ..gate import Gate

logger = logging.getLogger(__name__)

#: Seconds between two looks, and before the first: a start is not the time for others' programs.
INTERVAL = 60.0
FIRST = 2.0
#: Servers that are looked after; the hub keeps no more of them warm.
MOST = 10


@asynccontextmanager
async def watching(
    gate: Gate, *, first: float = FIRST, every: float = INTERVAL
) -> AsyncIterator[None]:
    """Count what models answer, and bring servers back that are down, for as long as it is held.

    Args:
        gate: whose daemon and servers.
        first: seconds before the first look at the servers.
        every: seconds between two.
    """
    app = gate.app
    watch(app.client, gate.metrics.begin)
    task = asyncio.create_task(_watch(app, first, every))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


async def _watch(app: App, first: float, every: float) -> None:
    told: dict[str, str] = {}
    await asyncio.sleep(first)
    while True:
        await look(app)
        if "hub" in app.__dict__:
            tell(latest(app.hub.statuses()), told)
        await asyncio.sleep(every)


async def look(app: App) -> None:
    """Connect those that are enabled always, if they are not connected; none is started twice."""
    try:
        verdicts = await anyio.to_thread.run_sync(judged, app.settings, None)
    except OllamaMCPError as error:
        logger.error("the MCP servers cannot be read: %s", error)
        return
    always = [
        verdict.definition
        for verdict in verdicts
        if verdict.enabled and verdict.definition.auto_enable == "always"
    ]
    await asyncio.gather(*(_connect(app.hub, definition) for definition in always[:MOST]))


async def _connect(hub: Hub, definition: Definition) -> None:
    try:
        async with hub.lease([definition], None):
            pass
    except OllamaMCPError as error:  # the hub is closed
        logger.info("%s", error)


def tell(statuses: dict[str, Status], told: dict[str, str]) -> None:
    """Log each server that has gone down or come back since it was last told."""
    for name, status in statuses.items():
        if status.state == "down" and told.get(name) != "down":
            logger.warning("the MCP server %s is down: %s", name, status.error)
        elif status.state == "up" and told.get(name) == "down":
            logger.warning("the MCP server %s is back", name)
        if status.state != "idle":
            told[name] = status.state


def down(app: App) -> list[dict[str, str | None]]:
    """Return the servers that are down, since when, and why; none is asked."""
    from ...resources.servers import when

    if "hub" not in app.__dict__:
        return []
    return [
        {"name": name, "since": when(status.since), "error": status.error}
        for name, status in latest(app.hub.statuses()).items()
        if status.state == "down"
    ]
