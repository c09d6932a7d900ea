"""One of several hosts: its client, what it has, what it is at, and whether it answers."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import anyio

from ...errors import OllamaMCPError, TimedOut
from ..catalog import STILL_RUNNING, Catalog, full_name
from ..wire import Part
from .choice import State

if TYPE_CHECKING:
    from ..client import Client

logger = logging.getLogger(__name__)

#: Seconds that a host has to say what it has; silent for so long, it is down if its asker leaves.
PATIENCE = 5.0
SILENT = 1.5
#: Seconds after which one that was down is asked again, at first and at most.
PAUSE = 1.0
LONGEST = 60.0

Told = TypeVar("Told")


@dataclass
class Down:
    """That a host does not answer: since when, why, and when it is asked again."""

    error: OllamaMCPError
    since: float
    pause: float
    until: float


class Host:
    """A host, and its state as far as it was asked lately."""

    def __init__(self, name: str, client: Client, limit: int | None = None) -> None:
        """Know a host by its name in the settings.

        Args:
            name: of the host.
            client: its own.
            limit: requests to models that it may have at once; None for any number.
        """
        self.name = name
        self.client = client
        self.limit = limit
        self.catalog = Catalog(client)
        #: Requests to models that are under way.
        self.running = 0
        self.down: Down | None = None
        self._asked: Counter[str] = Counter()
        self._installed: frozenset[str] = frozenset()
        self._loaded: frozenset[str] = frozenset()
        self._believed = 0.0
        self._looking = asyncio.Lock()
        self._probe: asyncio.Task[None] | None = None

    @property
    def is_free(self) -> bool:
        """Whether another request may go there now."""
        return self.limit is None or self.running < self.limit

    def state(self) -> State:
        """Return what is known of it; a model that it is being asked for counts as loaded."""
        return State(
            self.name,
            self.down is None,
            self._loaded | (self._installed & self._asked.keys()),
            self._installed,
            self.running,
            self.limit,
        )

    def enter(self, model: str) -> None:
        """Count a request to a model."""
        self.running += 1
        self._asked[full_name(model)] += 1

    def leave(self, model: str) -> None:
        """Count it no more."""
        self.running -= 1
        self._asked -= Counter([full_name(model)])  # drops what is zero

    def has_loaded(self, model: str) -> None:
        """Take note that it answers for a model, until it is asked again what it has loaded."""
        self._loaded |= {full_name(model)}

    def forget(self) -> None:
        """Ask anew next time."""
        self.catalog.forget()
        self._believed = 0.0

    async def look(self) -> None:
        """Learn what it has, unless that was a moment ago, and so whether it answers."""
        if time.monotonic() < self._believed:
            return
        async with self._looking:
            if time.monotonic() >= self._believed:
                await self.ask(self._both)

    async def installed(self) -> list[Part] | None:
        """Return the rows of its `/api/tags`, up to two seconds old; None if it is down."""
        return await self.ask(self._tags)

    async def running_models(self) -> list[Part] | None:
        """Return the rows of its `/api/ps`; None if it is down."""
        return await self.ask(self._ps)

    async def _both(self) -> None:
        await self._tags()
        await self._ps()
        self._believed = time.monotonic() + STILL_RUNNING

    async def _tags(self) -> list[Part]:
        rows = await self.catalog.installed()
        self._installed = _names(rows)
        return rows

    async def _ps(self) -> list[Part]:
        rows = await self.catalog.running()
        self._loaded = _names(rows)
        return rows

    async def ask(self, question: Callable[[], Awaitable[Told]]) -> Told | None:
        """Return what it answers; None if it does not, for it is down then."""
        began = time.monotonic()
        try:
            with anyio.fail_after(PATIENCE):
                told = await question()
        except OllamaMCPError as error:
            self.fail(error)
            return None
        except TimeoutError:
            self.fail(self._silent())
            return None
        except asyncio.CancelledError:
            if time.monotonic() - began > SILENT:
                self.fail(self._silent())
            raise
        self.answer()
        return told

    def _silent(self) -> OllamaMCPError:
        return TimedOut(f"Ollama at {self.client.address.url} did not answer in time")

    def answer(self) -> None:
        """Take note that it answers."""
        if self.down is not None:
            logger.warning("the Ollama host %s is back", self.name)
            self.down = None

    def fail(self, error: OllamaMCPError) -> None:
        """Take note that it does not; it is asked again after a pause that doubles."""
        now = time.monotonic()
        if self.down is None:
            logger.warning("the Ollama host %s is down: %s", self.name, error.message)
            self.down = Down(error, now, PAUSE, now + PAUSE)
        elif now >= self.down.until:
            pause = min(2 * self.down.pause, LONGEST)
            self.down = Down(error, self.down.since, pause, now + pause)
        self.forget()

    def probe(self) -> None:
        """Ask in the background whether it is back, if its pause is over; nobody waits for it."""
        is_due = self.down is not None and time.monotonic() >= self.down.until
        if is_due and self._probe is None:
            self._probe = asyncio.create_task(self.look())
            self._probe.add_done_callback(self._probed)

    def _probed(self, _: asyncio.Task[None]) -> None:
        self._probe = None

    async def aclose(self) -> None:
        """Close its connections."""
        if (probe := self._probe) is not None:
            probe.cancel()
            await asyncio.wait([probe])
        await self.client.aclose()


async def of_each(hosts: Iterable[Host], ask: Callable[[Host], Awaitable[Told]]) -> list[Told]:
    """Return what is asked of each of some hosts, in their order; all are asked at once.

    Not by asyncio.gather, whose tasks are cancelled again and again by a scope of anyio's around
    it, so that they cannot close their connections.
    """
    told: dict[str, Told] = {}

    async def take(host: Host) -> None:
        told[host.name] = await ask(host)

    asked = list(hosts)
    async with anyio.create_task_group() as group:
        for host in asked:
            group.start_soon(take, host)
    return [told[host.name] for host in asked]


def _names(rows: list[Part]) -> frozenset[str]:
    return frozenset(full_name(str(row.get("name"))) for row in rows)
