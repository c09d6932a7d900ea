"""Questions that a model answers with tools: what may be asked, and what is answered."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import anyio
from pydantic import BaseModel, ConfigDict, Field

from ...agent.events import Asking as Turn
from ...agent.events import Called, Calling, Ended, Event, Run, Said, Step, Task
from ...agent.results import StepShown, answer_of
from ...daemon.results import Json, Result, Usage
from ...delegation.choice import resolve
from ...delegation.structured.schema import check_schema
from ...errors import OllamaMCPError, PermissionDenied
from ...progress import Progress
from ..errors import as_plain
from ..runs.alive import kept_alive
from ..runs.events import SSE, frame
from ..runs.standing import Standing

if TYPE_CHECKING:
    from ..access.caller import Caller
    from ..gate import Gate
    from ..traffic.outlet import Outlet

Text = Annotated[str, Field(min_length=1)]


class Question(BaseModel):
    """A question."""

    model_config = ConfigDict(strict=True, extra="forbid")

    question: Annotated[str, Field(min_length=1, pattern=r"\S")]
    model: Text | None = Field(None, description="Default: one that is installed and fits.")
    servers: list[Text | dict[str, Any]] | None = Field(
        None,
        description="MCP servers, by name; [] for none. Default: those that their rules enable.",
    )
    tools: list[Text] | None = Field(None, description="Only these tools: fs:read_*.")
    path: Text | None = Field(
        None, description="Folder that the servers work in, under the allowed ones."
    )
    format: Literal["json"] | dict[str, Any] | None = Field(
        None, description='"json", or a JSON Schema for the answer.'
    )
    stream: bool = False
    max_rounds: Annotated[int, Field(ge=1, le=100, description="Turns of the model.")] = 15

    @property
    def wants_tools(self) -> bool:
        """Whether tools are asked for."""
        asks = bool(self.tools) or self.path is not None
        return bool(self.servers) or (self.servers is None and asks)


class Answered(Result):
    """What came of a question."""

    answer: str
    data: Json = Field(None, description="The answer, where format asked for JSON.")
    steps: list[StepShown] = Field(description="Calls that were made, in order; long texts cut.")
    usage: Usage
    stop_reason: str = Field(
        description="answered, or what ended it: max_rounds, repeated_failure, length, empty."
    )
    model: str
    warnings: list[str] | None = None


class Asking:
    """Asks models, within what callers may."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._standing = Standing(gate.app.settings)

    async def answer(self, question: Question, caller: Caller) -> dict[str, Any]:
        """Return the answer to a question.

        Raises:
            OllamaMCPError: the caller may not ask it, or it could not be answered.
        """
        async with aclosing(self._events(question, caller)) as events:
            async for event in events:
                if isinstance(event, Ended):
                    return answered(event.run)
        raise AssertionError("a run ends with its end")

    async def stream(self, question: Question, caller: Caller, outlet: Outlet) -> None:
        """Write what happens as server-sent events; an error after the first is the last one.

        The first question to the model is told with what comes of it, so that a model that cannot
        be asked is a refusal.

        Raises:
            OllamaMCPError: nothing has happened yet, and nothing will.
        """
        kept = b""
        async with kept_alive(outlet, "/api/ask", streams=True) as alive:
            try:
                async with aclosing(self._events(question, caller)) as events:
                    async for event in events:
                        kept += frame(*told(event))
                        if not alive.status:
                            if isinstance(event, Turn):
                                continue
                            alive.start(200, SSE)
                        await alive.write(kept)
                        kept = b""
            except OllamaMCPError as error:
                if not alive.status:
                    raise
                await alive.write(frame("error", as_plain(error)[2]))

    async def _events(self, question: Question, caller: Caller) -> AsyncGenerator[Event, None]:
        app = self._gate.app
        task = await self._task(question, caller)
        named = task.model or app.settings.model
        model = None if named is None else resolve(named, app.settings).model
        if model is None and caller.models is not None:
            raise PermissionDenied(
                f"the key {caller.name} may use some models only, and the question names none",
                f"Name one: {', '.join(caller.models) or 'there is none'}",
            )
        try:
            async with (
                self._gate.limits.place(caller, model) as held,
                aclosing(app.agent.run(task, Progress(None, "starting"))) as events,
            ):
                async for event in events:
                    if isinstance(event, Ended):
                        held.count(event.run.prompt_tokens + event.run.completion_tokens)
                    yield event
        except OllamaMCPError as error:
            await app.catalog.explain(error)
            raise

    async def _task(self, question: Question, caller: Caller) -> Task:
        """Return what an agent is to do; without tools where none are asked for, nor enabled."""
        servers = question.servers
        if question.wants_tools:
            caller.check("agent")
            if any(isinstance(server, dict) for server in servers or ()):
                caller.check("admin")
        elif servers is None and not (caller.may("agent") and await self._standing.any()):
            servers = []
        if isinstance(question.format, dict):  # now, and not when all the work is done
            await anyio.to_thread.run_sync(check_schema, question.format)
        return Task(
            [{"role": "user", "content": question.question}],
            model=question.model,
            servers=servers,
            tools=question.tools,
            path=Path(question.path) if question.path else None,
            format=question.format,
            max_rounds=question.max_rounds,
        )


def answered(run: Run) -> dict[str, Any]:
    """Return what came of a question, as JSON."""
    shown = answer_of(run)
    return Answered(
        answer=run.answer,
        data=run.data,
        steps=shown.steps,
        usage=shown.usage,
        stop_reason=run.stop_reason,
        model=run.model,
        warnings=shown.warnings,
    ).lean()


def told(event: Event) -> tuple[str, dict[str, Any]]:
    """Return an event's name and its data."""
    if isinstance(event, Turn):
        return "asking", {"round": event.round, "model": event.model, "mode": event.mode}
    if isinstance(event, Said):
        said = {"content": event.content, "thinking": event.thinking}
        return "said", {name: text for name, text in said.items() if text}
    if isinstance(event, Calling):
        return "calling", {"tool": event.step.name, "arguments": event.step.arguments}
    if isinstance(event, Called):
        return "called", _outcome(event.step)
    return "ended", answered(event.run)


def _outcome(step: Step) -> dict[str, Any]:
    came = {"result": step.result} if step.error is None else {"error": step.error}
    return {"tool": step.name, **came, "ms": step.ms}
