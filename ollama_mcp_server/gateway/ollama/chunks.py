"""A run of an agent, as Ollama's chat streams it: words, calls, results, and the counts."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from typing import Any

from ...agent.events import Call, Called, Calling, Ended, Event, Run, Said, Step
from ...agent.results import ENDS
from ...daemon.wire import Part

#: Content types of a stream and of one answer, as the daemon has them.
LINES, WHOLE = b"application/x-ndjson", b"application/json; charset=utf-8"
#: How a run ended, where Ollama has a word of its own for it.
_REASONS = {"answered": "stop", "empty": "stop", "tool_calls": "stop"}


class Chunks:
    """Makes the parts of one answer, in the order of what happens."""

    def __init__(
        self, model: str, *, whole: bool = False, form: Any = None, mixed: bool = False
    ) -> None:
        """Tell of a run.

        Args:
            model: as the request names it.
            whole: everything is told at the end, in one part.
            form: the form of the answer; where there is one, only what is in it is content.
            mixed: the client has tools of its own: what it sees as a call is for it to make, and
                the calls that are made here are told in `steps`.
        """
        self.whole = whole
        self._model = model
        self._form = form
        self._mixed = mixed
        self._began = time.monotonic_ns()
        self._shown: set[int] = set()

    def of(self, event: Event) -> Iterator[Part]:
        """Yield the parts that tell of an event."""
        if isinstance(event, Ended):
            yield from self._end(event.run)
        elif self.whole:
            return
        elif isinstance(event, Said):
            content = "" if self._form else event.content
            if content or event.thinking:
                yield self._part(said(content, event.thinking))
        elif isinstance(event, Calling | Called) and self._mixed:
            shown = step(event.step, done=isinstance(event, Called))
            yield {**self._part(said("")), "steps": [shown]}
        elif isinstance(event, Calling | Called):
            if id(event.step) not in self._shown:  # one that was refused was never begun
                self._shown.add(id(event.step))
                yield self._part(call(event.step))
            if isinstance(event, Called):
                yield self._part(result(event.step))

    def _end(self, run: Run) -> Iterator[Part]:
        answer = run.answer
        if self._form and run.data is not None:
            answer = json.dumps(run.data, ensure_ascii=False)
        elif self._form and run.calls:
            answer = ""
        told = said(answer, run.thinking) if self.whole else said(answer if self._form else "")
        if run.calls:
            told["tool_calls"] = [asked(number, call) for number, call in enumerate(run.calls)]
        if not self.whole and (told["content"] or run.calls):
            yield self._part(told)
        final = self._part(told if self.whole else said(""), done=True)
        final["done_reason"] = _REASONS.get(run.stop_reason, run.stop_reason)
        final["total_duration"] = time.monotonic_ns() - self._began
        final["prompt_eval_count"] = run.prompt_tokens
        final["eval_count"] = run.completion_tokens
        if self.whole:
            final["steps"] = [step(one) for one in run.steps]
        end = [ENDS[run.stop_reason]] if run.stop_reason in ENDS else []
        if warnings := end + run.warnings:
            final["warnings"] = warnings
        yield final

    def _part(self, message: Part, *, done: bool = False) -> Part:
        now = datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")
        return {"model": self._model, "created_at": now, "message": message, "done": done}


def said(content: str, thinking: str = "") -> Part:
    """Return a message of the model's."""
    return {
        "role": "assistant",
        "content": content,
        **({"thinking": thinking} if thinking else {}),
    }


def call(step: Step) -> Part:
    """Return the message with which the model asks for a call."""
    function = {"name": step.name, "arguments": step.arguments}
    return {**said(""), "tool_calls": [{"function": function}]}


def result(step: Step) -> Part:
    """Return the message that tells what came of a call."""
    told = step.result if step.error is None else f"Error: {step.error}"
    return {"role": "tool", "content": told or "", "tool_name": step.name}


def asked(number: int, call: Call) -> Part:
    """Return a call that the client is to make, in the daemon's form."""
    arguments = call.arguments if isinstance(call.arguments, dict) else {}
    return {
        "id": call.id,
        "function": {"index": number, "name": call.name, "arguments": arguments},
    }


def step(one: Step, *, done: bool = True) -> Part:
    """Return a call with what came of it, once it is done."""
    if not done:
        return {"tool": one.name, "arguments": one.arguments}
    outcome = {"result": one.result} if one.error is None else {"error": one.error}
    return {"tool": one.name, "arguments": one.arguments, **outcome, "ms": one.ms}
