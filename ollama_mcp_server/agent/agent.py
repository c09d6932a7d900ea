"""From a task to a run: which servers, which model, in which mode."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from ..daemon.wire import Part
from ..delegation.answer import Answer, Heard
from ..delegation.inputs.paths import printable
from ..delegation.structured.schema import check_schema
from ..errors import (
    CapabilityMissing,
    InvalidArgument,
    PermissionDenied,
    ToolFailed,
)
from .definitions import rules
from .definitions.configuration import configured, judged
from .definitions.documents import Definition, inline
from .events import Consent, Event, Mode, Task
from .guard import bounds
from .loop import Loop
from .servers.hub import CURE, FAILED, Hub, Lease
from .toolbox import Toolbox
from .verify import Report, verify

if TYPE_CHECKING:
    from ..delegation.delegate import Delegate
    from ..delegation.upstream import Upstream
    from ..progress import Progress
    from ..settings import Settings

INLINE = "Name configured servers, or let calls define some with OLLAMA_MCP_ALLOW_INLINE_SERVERS=1"


class Agent:
    """Lets models work on tasks with the tools of other MCP servers."""

    def __init__(
        self, delegate: Delegate, hub: Hub, settings: Settings, upstream: Upstream | None = None
    ) -> None:
        """Ask models by `delegate`, or by `upstream` if there is one."""
        self._delegate = delegate
        self._hub = hub
        self._settings = settings
        self._upstream = upstream
        #: What models did that were verified, by their digests.
        self._reports: dict[str, Report] = {}

    async def run(
        self, task: Task, progress: Progress, consent: Consent | None = None
    ) -> AsyncGenerator[Event, None]:
        """Work on a task, and tell what happens; the last event is the run's end.

        Args:
            task: what to do; a server or a path that is not allowed is refused.
            progress: told of each phase, of every call and token.
            consent: asked before a call that may destroy; without it such calls are refused.

        Raises:
            OllamaMCPError: there is no such server or model, none could be started, or the model
                could not be asked.
        """
        settings = self._settings
        if isinstance(task.format, dict):  # before the work, and not after it
            await anyio.to_thread.run_sync(check_schema, task.format)
        path = folder(task.path, settings.roots)
        task.path = path
        definitions = await anyio.to_thread.run_sync(self.chosen, task)
        progress.update("choosing a model")
        model, mode, sees = await self._model(task, progress)
        if definitions:
            progress.update(f"starting {', '.join(one.name for one in definitions)}")
        async with self._hub.lease(definitions, path) as lease:
            _check(lease, definitions)
            toolbox = Toolbox(
                lease,
                progress,
                timeout=task.tool_timeout,
                default_timeout=settings.tool_timeout,
                patterns=task.tools,
                path=path,
                folders=bounds.folders(path, settings.roots),
                consent=consent,
                allow_destructive=task.allow_destructive or settings.allow_destructive,
                read_only=settings.read_only,
                sees=sees,
            )
            loop = Loop(task, toolbox, self._ask, model, mode, progress)
            async with aclosing(loop.events()) as events:
                async for event in events:
                    yield event

    async def verify(self, model: str, progress: Progress, *, again: bool = False) -> Report:
        """Return how well a model calls tools; it is asked once for each digest, or `again`.

        Raises:
            OllamaMCPError: the model could not be asked.
        """
        if self._upstream is not None:
            return await verify(self._ask, model, progress, is_native=True)
        choice, row = await self._delegate.choose(model, ["completion"], progress)
        digest = str((row or {}).get("digest") or choice.model)
        if again or digest not in self._reports:
            is_native = "tools" in ((row or {}).get("capabilities") or ())
            self._reports[digest] = await verify(self._ask, model, progress, is_native=is_native)
        return replace(self._reports[digest], model=choice.model)

    def chosen(self, task: Task) -> list[Definition]:
        """Return the servers that a task may use.

        Raises:
            NotFound: there is no such server, or no rule enables one.
            PermissionDenied: the call defines a server, and the settings do not allow that.
        """
        if task.servers is None:
            verdicts = judged(self._settings, task.path)
            enabled = [verdict.definition for verdict in verdicts if verdict.enabled]
            if not enabled:
                raise rules.no_servers(verdicts)
            return enabled
        names = [server for server in task.servers if isinstance(server, str)]
        defined = [inline(server) for server in task.servers if not isinstance(server, str)]
        if defined and not self._settings.allow_inline_servers:
            raise PermissionDenied("Access denied: this server takes no servers by call", INLINE)
        if any(refers(server) for server in task.servers if not isinstance(server, str)):
            raise PermissionDenied(
                "Access denied: a server that a call defines gets no variables of this one",
                "Write values in place of ${…} and enable_if, or let the operator configure it",
            )
        if names and self._settings.disable_servers:
            raise PermissionDenied(
                "Access denied: the configured MCP servers are switched off",
                "Start this server without OLLAMA_MCP_DISABLE",
            )
        found = rules.named(names, configured(self._settings)) if names else []
        both = {one.name for one in found} & {one.name for one in defined}
        if both or len({one.name for one in defined}) < len(defined):
            raise InvalidArgument("two servers have the same name", "Give each a name of its own")
        return [*found, *defined]

    async def _model(self, task: Task, progress: Progress) -> tuple[str, Mode, bool]:
        """Return which model works, how it is asked for calls, and whether it sees."""
        if self._upstream is not None:
            model = task.model or self._settings.model or await self._upstream.first_model()
            return model, "native", True
        needs = ["completion"]
        if any(message.get("images") for message in task.messages):
            needs.append("vision")
        if task.think:
            needs.append("thinking")
        try:
            wanted = needs if task.model else [*needs, "tools"]
            choice, row = await self._delegate.choose(task.model, wanted, progress)
        except CapabilityMissing:
            if task.model:
                raise
            choice, row = await self._delegate.choose(None, needs, progress)
        abilities = (row or {}).get("capabilities") or ()
        mode: Mode = "native" if "tools" in abilities else "fallback"
        if (report := self._reports.get(str((row or {}).get("digest")))) is not None:
            mode = report.mode
        return task.model or choice.model, mode, "vision" in abilities

    async def _ask(self, body: Part, progress: Progress, heard: Heard | None) -> Answer:
        if self._upstream is not None:
            return await self._upstream.ask(body, progress, heard)
        return await self._delegate.ask("/api/chat", body, progress, heard=heard)


def refers(server: dict[str, Any]) -> bool:
    """Return whether a definition asks for variables of our environment, which are not its own."""
    return "${" in json.dumps(server) or bool(server.get("enable_if"))


def folder(path: Path | None, roots: Sequence[Path]) -> Path | None:
    """Return the real folder that a task names, if it is one that may be used.

    Raises:
        PermissionDenied: it is in none of the roots.
        InvalidArgument: it is no folder, or no path at all.
    """
    if path is None:
        return None
    named = printable(str(path))
    try:
        real = path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError):  # a NUL, no such user, a loop of links
        raise InvalidArgument(f"{named} is no path", "Give the folder to work in") from None
    if not any(real.is_relative_to(root.resolve()) for root in roots):
        raise PermissionDenied(
            f"Access denied: {named} is in none of the allowed folders",
            "Allow its folder with --root, or OLLAMA_MCP_ROOTS",
        )
    if not os.path.isdir(real):  # noqa: PTH112 - which never raises, however long the path
        raise InvalidArgument(f"{named} is no folder", "Give the folder that the work is about")
    return real


def _check(lease: Lease, definitions: Sequence[Definition]) -> None:
    """Raise what keeps every server from being used; one that works is enough to go on."""
    if definitions and len(lease.down) == len(definitions):
        told = "; ".join(f"{status.name}: {status.error}" for status in lease.down)
        raise ToolFailed(f"{FAILED}: {told}", CURE)
