"""The loop: ask the model, make the calls that it asks for, tell it what came of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import anyio

from ..daemon.wire import Part
from ..errors import CapabilityMissing, ContextOverflow, OllamaMCPError
from .events import Asking, Ended, Event, Mode, Run, Said, StopReason, Task
from .offers.offer import Offered
from .turn import Ask, Turn, take_turn

if TYPE_CHECKING:
    from ..progress import Progress
    from .toolbox import Emit, Toolbox

#: Characters that are left of a tool's result, at least, where the window is full.
LEAST = 500

LAST = "No more calls can be made. Answer now with what you have found, and say what is missing."
AS_DATA = "Give your answer as JSON, in the form that was asked for."


@dataclass
class Loop:
    """One run: who is asked, what may be used, and what has come of it so far."""

    task: Task
    toolbox: Toolbox
    ask: Ask
    model: str
    mode: Mode
    progress: Progress
    run: Run = field(default_factory=Run)

    async def events(self) -> AsyncGenerator[Event, None]:
        """Work until the task is done, and tell what happens; the last event is the run's end.

        Closing the iterator stops the model and the tools.

        Raises:
            OllamaMCPError: the model could not be asked; `details.steps` has what was done.
        """
        queue: asyncio.Queue[Event | None] = asyncio.Queue()
        work = asyncio.create_task(self._work(queue.put_nowait))
        work.add_done_callback(lambda _: queue.put_nowait(None))
        try:
            while (event := await queue.get()) is not None:
                yield event
            work.result()
        finally:
            work.cancel()
            await asyncio.wait([work])

    async def _work(self, emit: Emit) -> None:
        run = self.run
        run.model, run.mode, run.messages = self.model, self.mode, list(self.task.messages)
        try:
            with anyio.move_on_after(self.task.max_seconds) as clock:
                run.stop_reason = await self._rounds(emit)
                if self.task.format is not None and not run.calls:
                    await self._put_in_form(emit)
        except OllamaMCPError as error:
            if run.steps:
                error.details["steps"] = [asdict(step) for step in run.steps]
            raise
        if clock.cancelled_caught:
            run.stop_reason = "max_seconds"
        self._warn(
            f"the server {status.name} is down since {_clock(status.since)}: {status.error}"
            for status in self.toolbox.lease.down
        )
        if any(one.server for one in self.toolbox.offered) and not run.steps and not run.calls:
            self._warn(["the model called none of the tools that it was offered"])
        emit(Ended(run))

    async def _rounds(self, emit: Emit) -> StopReason:
        """Let the model and the tools take turns, until one of the ends is reached."""
        run, task, box = self.run, self.task, self.toolbox
        while run.rounds < task.max_rounds and not box.is_stuck:
            self._warn(box.offer(subject(task.messages), task.client_tools))
            turn = await self._turn(emit, box.offered)
            if not turn.calls:
                return end_of(turn)
            if task.client_tools:
                # The servers' calls of the same turn are not made: nobody would be told of them.
                run.calls = await box.for_client(turn.calls, run.rounds)
                if run.calls:
                    return "tool_calls"
            made = await box.make(turn.calls, run.rounds, emit)
            run.steps += [one.step for one in made]
            for one in made:
                self._warn(one.notes)
                run.messages.append(one.message())
            if pictures := [picture for one in made for picture in one.images]:
                told = {"role": "user", "content": "The pictures that the tools returned:"}
                run.messages.append({**told, "images": pictures})
            if task.max_tokens and run.prompt_tokens + run.completion_tokens >= task.max_tokens:
                return "max_tokens"
        run.messages.append({"role": "user", "content": LAST})
        await self._turn(emit, [])
        return "repeated_failure" if box.is_stuck else "max_rounds"

    async def _turn(self, emit: Emit, offered: Sequence[Offered], form: Any = None) -> Turn:
        """Let the model say something, and take it down."""
        run, task = self.run, self.task
        run.rounds += 1
        run.answer = ""
        self.progress.prefix = f"round {run.rounds}: "
        emit(Asking(run.rounds, self.model, self.mode))

        def heard(piece: Said) -> None:
            run.answer += piece.content  # what there is, should the time be up in the middle
            emit(piece)

        while True:
            body: Part = {
                "model": self.model,
                "messages": run.messages,
                "options": task.options,
                "think": task.think,
                "keep_alive": task.keep_alive,
                "format": form,
            }
            try:
                turn = await take_turn(self.ask, body, offered, self.mode, self.progress, heard)
                break
            except ContextOverflow:
                if not self._shorten():
                    raise
            except CapabilityMissing as error:  # an endpoint that tells only when it is asked
                if error.details.get("capability") != "tools" or self.mode == "fallback":
                    raise
                self.mode = run.mode = "fallback"
        run.answer, run.thinking = turn.content, turn.thinking
        run.context = turn.answer.window
        run.prompt_tokens += turn.answer.final.get("prompt_eval_count") or 0
        run.completion_tokens += turn.answer.final.get("eval_count") or 0
        self._warn(turn.answer.warnings)
        run.messages.append(message(turn))
        return turn

    async def _put_in_form(self, emit: Emit) -> None:
        """Ask once more for the answer, as the JSON that the task wants."""
        self.run.messages.append({"role": "user", "content": AS_DATA})
        turn = await self._turn(emit, [], self.task.format)
        self.run.data = turn.answer.data

    def _shorten(self) -> bool:
        """Halve the longest result that the model was told; return False where none is long."""
        messages = self.run.messages
        results = [said for said in messages if said["role"] == "tool"]
        longest = max(results, key=lambda said: len(said["content"]), default=None)
        if longest is None or len(text := longest["content"]) < 2 * LEAST:
            return False
        kept = len(text) // 2
        cut = f"{text[:kept]}\n[cut: {kept} of {len(text)} characters; the window is full]"
        messages[messages.index(longest)] = {**longest, "content": cut}
        self._warn(["results of tools were cut, so that the model's window holds them"])
        return True

    def _warn(self, warnings: Any) -> None:
        self.run.warnings += [text for text in warnings if text not in self.run.warnings]


def subject(messages: Sequence[Part]) -> str:
    """Return what a task is about: the newest message of the user."""
    asked = [said["content"] for said in messages if said["role"] == "user"]
    return asked[-1] if asked else ""


def end_of(turn: Turn) -> StopReason:
    """Return why a run ends with a turn that asks for no call."""
    if turn.answer.done_reason == "length":
        return "length"
    return "answered" if turn.content.strip() else "empty"


def message(turn: Turn) -> Part:
    """Return what the model said as a message of its history."""
    said: Part = {"role": "assistant", "content": turn.content}
    if turn.thinking:
        said["thinking"] = turn.thinking
    if turn.calls:
        said["tool_calls"] = [
            {
                "id": call.id,
                "function": {
                    "index": number,
                    "name": call.name,
                    # what is no object, the daemon would refuse
                    "arguments": call.arguments if isinstance(call.arguments, dict) else {},
                },
            }
            for number, call in enumerate(turn.calls)
        ]
    return said


def _clock(seconds: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(seconds))
