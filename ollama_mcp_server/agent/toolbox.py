"""The tools that a run may use: which are offered, and what comes of the calls for them."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from ..daemon.wire import Part
from ..errors import OllamaMCPError, PermissionDenied
from .calls.contents import told
from .calls.made import Made
from .calls.reading import mend
from .events import Call, Called, Calling, Consent, Event, Step
from .guard import bounds
from .offers.offer import Offered, client_tool, find, matches, offer, unknown

if TYPE_CHECKING:
    import mcp_types

    from ..progress import Progress
    from .servers.hub import Lease

#: Takes events as they happen.
Emit = Callable[[Event], None]

#: Characters of one tool's result that the model is told.
RESULT = 20_000
#: How often the same call may fail; asked for once more, it ends the run.
FAILURES = 2

AGAIN = "You made this same call before, and it failed: change it, or answer without it."
REFUSED = "Access denied: this call may destroy something, and nobody agreed to it"
INSTEAD = "Go on without it, or say in your answer what should be done"


@dataclass
class Toolbox:
    """The servers of one run, as far as its task may use them."""

    lease: Lease
    progress: Progress
    #: Milliseconds that one call may take: as the task says, else the server's, else the default.
    timeout: int | None
    default_timeout: int
    #: Patterns of the tools that the task may use; None for all.
    patterns: list[str] | None = None
    #: The folder that the work is about, and those that arguments may name.
    path: Path | None = None
    folders: Sequence[Path] = ()
    consent: Consent | None = None
    #: Let calls that may destroy be made without consent; or make none of them.
    allow_destructive: bool = False
    read_only: bool = False
    #: Whether the model sees pictures.
    sees: bool = False
    offered: list[Offered] = field(default_factory=list)
    #: Whether a call was asked for that had failed too often.
    is_stuck: bool = False
    _version: int | None = None
    _failures: dict[str, int] = field(default_factory=dict)
    #: Whether the model has read what a server said that is not trusted.
    _tainted: bool = False

    def offer(self, task: str, own: Sequence[Part] = ()) -> list[str]:
        """Renew what is offered for a task, should the servers have changed; return warnings.

        First comes the client's `own`, whose names it must know again.
        """
        if self._version == self.lease.version:
            return []
        if self._version is not None:  # what is offered anew may answer what has been asked
            trusted = (self.lease.definition(server).trusted for server in self.lease.tools)
            self._tainted = self._tainted or not all(trusted)
        self._version = self.lease.version
        usable = {
            server: [tool for tool in tools if self._may_use(server, tool)]
            for server, tools in self.lease.tools.items()
        }
        found, warnings = offer(usable, task)
        clients = {entry["function"]["name"]: client_tool(entry) for entry in own}
        self.offered = [*clients.values(), *(one for one in found if one.name not in clients)]
        return warnings

    async def for_client(self, calls: Sequence[Call], number: int) -> list[Call]:
        """Return those of the calls that are for the client, their arguments mended."""
        found = []
        for call in calls:
            offered = find(call.name, self.offered)
            if offered is not None and not offered.server:
                made = await anyio.to_thread.run_sync(self._prepared, call, number)
                found.append(Call(offered.name, made.step.arguments, call.id))
        return found

    def _may_use(self, server: str, tool: mcp_types.Tool) -> bool:
        return (
            bounds.offers(self.lease.definition(server), tool.name)
            and matches(self.patterns, server, tool.name)
            and not (self.read_only and bounds.destroys(tool))
        )

    async def make(self, calls: Sequence[Call], number: int, emit: Emit) -> list[Made]:
        """Make the calls of round `number`: side by side where they only read, else in order."""
        # In a thread: to check arguments against a foreign schema can take seconds.
        made = [await anyio.to_thread.run_sync(self._prepared, call, number) for call in calls]
        for reads, group in groupby(made, key=lambda one: one.reads):
            if reads:
                await side_by_side([self._make(one, emit) for one in group])
            else:
                for one in group:
                    await self._make(one, emit)
        return made

    def _prepared(self, call: Call, number: int) -> Made:
        """Check a call against what is offered; what is wrong with it stands in its step."""
        offered = find(call.name, self.offered)
        given = call.arguments if isinstance(call.arguments, dict) else {}
        step = Step(number, "", call.name, given)
        if offered is None:
            step.error = unknown(call.name, self.offered)
        else:
            step.server, step.tool = offered.server, offered.tool.name
            step.arguments, wrong = mend(call.arguments, offered.tool.input_schema)
            if wrong:
                step.error = f"wrong arguments for {offered.name}: {'; '.join(wrong)}"
        key = step.name + json.dumps(step.arguments, sort_keys=True, default=str)
        if self._failures.get(key, 0) >= FAILURES:
            step.error, self.is_stuck = "the same call failed before, and was not made again", True
        return Made(call, step, offered, key)

    async def _make(self, one: Made, emit: Emit) -> None:
        """Make one call; whatever goes wrong with it is for the model to read."""
        step = one.step
        if step.error is None and one.offered is not None:
            self.progress.update(f"calling {step.name}")
            emit(Calling(step))
            began = time.monotonic()
            try:
                await self._ask(one, one.offered)
            except OllamaMCPError as error:
                step.error = str(error).removeprefix("Error: ")
            step.ms = round((time.monotonic() - began) * 1000)
        if step.error is None:
            self._failures.pop(one.key, None)
        else:
            failures = self._failures[one.key] = self._failures.get(one.key, 0) + 1
            one.advice = AGAIN if failures >= FAILURES else ""
        self.progress.note(f"{step.name} {'failed' if step.error else 'answered'}")
        emit(Called(step))

    async def _ask(self, one: Made, offered: Offered) -> None:
        """Ask a server's tool, if the call is allowed.

        Raises:
            OllamaMCPError: it is not, or the server did not answer.
        """
        step, tool = one.step, offered.tool
        definition = self.lease.definition(step.server)
        bounds.check_call(definition, tool, step.arguments, self.path, self.folders)
        if bounds.needs_consent(tool, allowed=self.allow_destructive, tainted=self._tainted):
            agreed = self.consent is not None and not self.read_only and await self.consent(step)
            if not agreed:
                raise PermissionDenied(REFUSED, INSTEAD)
        try:
            result = await self.lease.call(
                step.server,
                tool.name,
                step.arguments,
                (self.timeout or definition.timeout or self.default_timeout) / 1000,
                lambda message: self.progress.update(f"{step.name}: {message}"),
            )
        finally:  # an error's words are the server's too
            self._tainted = self._tainted or not definition.trusted
        said = told(result, limit=RESULT, sees=self.sees)
        one.images, one.notes = said.images, said.notes
        if said.failed:
            step.error = said.text or "the tool failed, and did not say why"
        else:
            step.result = said.text


async def side_by_side(works: Sequence[Awaitable[Any]]) -> None:
    """Do all at once; should one break off, the others are stopped."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
