"""A run in words: its calls, what came of them, and what is to be said after its answer."""

from __future__ import annotations

import json
import re
from typing import TextIO

from ..agent.events import Run, Step
from ..agent.results import ENDS
from ..delegation.inputs.paths import printable
from ..errors import OllamaMCPError

#: Control characters, with which a text could command a terminal; tab and newline are none.
_COMMANDS = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f]")
#: Calls of our tools, in the hints of errors.
_PULL = re.compile(r"ollama_pull \(model: '([^']*)'\)")
_OURS = re.compile(r"\bollama_(list|ps|pull|show)\b")
#: Characters of a call's arguments that are shown, also where consent is asked.
SHOWN, CONSENT = 300, 2000
#: Characters of what came of a call.
OUTCOME = 100
#: Characters of a tool's result that are shown where all is told.
RESULT = 2000


def clean(text: str) -> str:
    """Return a text that can command no terminal."""
    return _COMMANDS.sub("", text)


def call_line(step: Step, limit: int = SHOWN) -> str:
    """Return a call as people read it: `server:tool(name="value", …)`."""
    told = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False, default=str)}"
        for name, value in step.arguments.items()
    )
    return f"{printable(step.name)}({cut(printable(told), limit)})"


def outcome(step: Step) -> str:
    """Return what came of a call, in one line."""
    if step.error is not None:
        return f"failed after {step.ms} ms: {cut(one_line(step.error), 2 * OUTCOME)}"
    return f"{step.ms} ms: {cut(one_line(step.result or ''), OUTCOME) or '(nothing)'}"


def one_line(text: str) -> str:
    """Return a text as one line."""
    return printable(" ".join(text.split()))


def cut(text: str, limit: int) -> str:
    """Return at most `limit` characters of a text."""
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def answer_text(run: Run) -> str:
    """Return the answer as it is written to stdout: the data, where JSON was asked for."""
    if run.data is not None:
        return json.dumps(run.data, ensure_ascii=False, indent=2)
    return run.answer


def remarks(run: Run, *, verbose: bool) -> list[str]:
    """Return what is to be said after an answer."""
    told = [f"[{one_line(warning)}]" for warning in run.warnings]
    if run.stop_reason != "answered":
        told.append(f"[{ENDS[run.stop_reason]}]")
    if verbose:
        window = f" of {run.context}" if run.context else ""
        told.append(
            f"[{run.model}, {run.mode}: {count(run.rounds, 'round')}, "
            f"{count(len(run.steps), 'call')}, tokens {run.prompt_tokens} + "
            f"{run.completion_tokens}{window}]"
        )
    return told


def count(number: int, what: str) -> str:
    """Return a number of things in words."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def failure(error: OllamaMCPError) -> str:
    """Return an error for people, who have `ollama` at hand where hosts have our tools."""
    text = _PULL.sub(r"`ollama pull \1`", str(error))
    return clean(_OURS.sub(r"`ollama \1`", text))


class Calls:
    """Which calls were shown, so that each outcome stands below its own or names it."""

    def __init__(self) -> None:
        self._shown: list[Step] = []

    def begun(self, step: Step) -> str:
        """Return the line of a call that is made."""
        self._shown.append(step)
        return call_line(step)

    def ended(self, step: Step) -> list[str]:
        """Return the line of its outcome; before it that of the call, if it was never made."""
        call = [] if any(step is one for one in self._shown) else [self.begun(step)]
        name = "" if step is self._shown[-1] else f"{step.name} "
        return [*call, f"  {name}{outcome(step)}"]


def write(stream: TextIO, text: str) -> None:
    """Write a text and see to it that a line ends; a terminal takes no commands from it."""
    text = clean(text) if stream.isatty() else text
    stream.write(text if text.endswith("\n") or not text else f"{text}\n")
    stream.flush()
