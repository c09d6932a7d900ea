"""A run of an agent, told piece by piece: what the forms of the APIs have in common."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator

from ...agent.events import Asking, Called, Calling, Ended, Event, Run, Said, Step
from ...agent.results import ENDS
from ...daemon.wire import Part, encode
from .chat import Chat

#: Content types of a stream and of one answer.
EVENTS, WHOLE = b"text/event-stream", b"application/json"


class Telling(ABC):
    """Makes the bytes of one answer, in the order of what happens.

    Where the answer has a form, only what is in it is content, and it comes at the end.
    """

    def __init__(self, chat: Chat) -> None:
        self.chat = chat
        self.streams = bool(chat.stream)
        self.kind = EVENTS if self.streams else WHOLE
        self._holds = bool(chat.response_format and chat.response_format.get("type") != "text")
        #: What was said in this turn.
        self._said = ""
        self._numbers: dict[int, int] = {}
        self._steps: list[Step] = []

    def of(self, event: Event) -> Iterator[bytes]:
        """Yield what tells of an event."""
        if isinstance(event, Asking):
            self._said = ""
            yield from self.turn(event.round)
        elif isinstance(event, Said):
            if event.thinking:
                yield from self.thought(event.thinking)
            if event.content and not self._holds:
                self._said += event.content
                yield from self.text(event.content)
        elif isinstance(event, Calling | Called):
            if id(event.step) not in self._numbers:  # one that was refused was never begun
                self._numbers[id(event.step)] = len(self._steps)
                self._steps.append(event.step)
                yield from self.calling(self._numbers[id(event.step)], event.step)
            if isinstance(event, Called):
                yield from self.called(self._numbers[id(event.step)], event.step)
        elif isinstance(event, Ended):
            run = event.run
            if run.data is not None and self._holds:
                run.answer = json.dumps(run.data, ensure_ascii=False)
            if run.answer and not self._said:
                yield from self.text(run.answer)
            yield from self.end(run)

    def turn(self, number: int) -> Iterator[bytes]:
        """Yield what tells that the model has its turn; nothing, as a rule."""
        return iter(())

    @abstractmethod
    def thought(self, piece: str) -> Iterator[bytes]:
        """Yield what tells a piece of the model's thoughts."""

    @abstractmethod
    def text(self, piece: str) -> Iterator[bytes]:
        """Yield what tells a piece of what the model says."""

    @abstractmethod
    def calling(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield what tells that a tool is called; its result is not there yet."""

    @abstractmethod
    def called(self, number: int, step: Step) -> Iterator[bytes]:
        """Yield what tells what came of a call."""

    @abstractmethod
    def end(self, run: Run) -> Iterator[bytes]:
        """Yield what ends the answer; where it does not stream, all of it."""


def as_event(data: Part, name: str = "") -> bytes:
    """Return data as a server-sent event."""
    return (b"event: %s\n" % name.encode() if name else b"") + b"data: " + encode(data) + b"\n\n"


def shown(number: int, step: Step, *, done: bool = True) -> Part:
    """Return a call as the field `mcp_steps` shows it; one that is not done has no outcome."""
    told: Part = {"index": number, "tool": step.name, "arguments": step.arguments}
    if not done:
        return told
    outcome = {"result": step.result} if step.error is None else {"error": step.error}
    return {**told, **outcome, "ms": step.ms}


def extras(run: Run) -> Part:
    """Return what is told beside an answer, in fields that standard clients pass over."""
    told: Part = {}
    if run.steps:
        told["mcp_steps"] = [shown(number, step) for number, step in enumerate(run.steps)]
    is_told = run.stop_reason == "length"  # by every API, in its own words
    end = [ENDS[run.stop_reason]] if run.stop_reason in ENDS and not is_told else []
    if warnings := end + run.warnings:
        told["warnings"] = warnings
    return told
