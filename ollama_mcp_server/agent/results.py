"""What a run's result holds: the answer first, each step short, the rest in `_meta`."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..daemon.results import PREFIX, Json, Result, Usage
from .events import Run, Step

if TYPE_CHECKING:
    from .verify import Report

#: Characters of a step's arguments and results that are shown; `_meta` has all.
SHOWN = 300
#: Steps that are shown, and bytes of them in `_meta`.
MOST_STEPS = 30
MOST_BYTES = 200_000


class StepShown(Result):
    """One call of a tool."""

    tool: str = Field(description="server:tool")
    arguments: dict[str, Any]
    result: str | None = None
    error: str | None = None
    ms: int


class AgentAnswer(Result):
    """What came of a task."""

    content: str | None = Field(None, description="The answer; none beside data.")
    data: Json = Field(None, description="The answer, where format asked for JSON.")
    steps: list[StepShown] = Field(description="Calls that were made, in order; long texts cut.")
    rounds: int
    stop_reason: str = Field(
        description="answered, or what ended it: max_rounds, max_seconds, max_tokens, "
        "repeated_failure, length, empty."
    )
    model: str
    mode: str = Field(description="native tool calls, or fallback (JSON Schema).")
    usage: Usage
    warnings: list[str] | None = None
    conversation: str | None = Field(None, description="Handle, to go on with.")


class Probed(Result):
    """What the model did with one task, in each mode that was tried."""

    task: str
    native: str | None = Field(None, description="passed or failed: what it did.")
    fallback: str | None = None


class Verified(Result):
    """How well a model calls tools."""

    model: str
    mode: str = Field(description="How ollama_agent asks it: native or fallback.")
    passed: dict[str, int] = Field(description="Tasks passed, by mode.")
    of: int = Field(description="How many tasks there are.")
    tasks: list[Probed]


def verified(report: Report) -> Verified:
    """Return a report as the object that hosts read."""
    told = {
        mode: [f"{'passed' if one.passed else 'failed'}: {one.did}" for one in each]
        for mode, each in report.outcomes.items()
    }
    names = [one.probe for one in report.outcomes["fallback"]]
    return Verified(
        model=report.model,
        mode=report.mode,
        passed={mode: sum(one.passed for one in each) for mode, each in report.outcomes.items()},
        of=len(names),
        tasks=[
            Probed(task=name, **{mode: each[number] for mode, each in told.items()})
            for number, name in enumerate(names)
        ],
    )


def answer_of(run: Run, conversation: str | None = None) -> AgentAnswer:
    """Return a run as the object that hosts read."""
    warnings = list(run.warnings)
    if len(run.steps) > MOST_STEPS:
        warnings.append(f"only the last {MOST_STEPS} of {len(run.steps)} steps are shown")
    if run.stop_reason != "answered":
        warnings.insert(0, ENDS[run.stop_reason])
    return AgentAnswer(
        content=None if run.data is not None else run.answer,
        data=run.data,
        steps=[_shown(step) for step in run.steps[-MOST_STEPS:]],
        rounds=run.rounds,
        stop_reason=run.stop_reason,
        model=run.model,
        mode=run.mode,
        usage=Usage(
            prompt_tokens=run.prompt_tokens,
            completion_tokens=run.completion_tokens,
            context=run.context,
        ),
        warnings=warnings or None,
        conversation=conversation,
    )


#: What a reader must know of a run that did not end with its answer.
ENDS = {
    "max_rounds": "the rounds were used up; the answer is what there was by then (max_rounds)",
    "max_seconds": "the time was up; the answer is what there was by then (max_seconds)",
    "max_tokens": "the tokens were used up; the answer is what there was by then (max_tokens)",
    "repeated_failure": "the model repeated a call that fails; the answer is what it had by then",
    "length": "the answer was cut at the length limit; raise options.num_predict or num_ctx",
    "empty": "the model answered nothing; ask in other words, or try a larger model",
}


def as_text(run: Run) -> str:
    """Return a run as text: the answer, and a line for each step."""
    answer = run.answer if run.data is None else json.dumps(run.data, ensure_ascii=False)
    lines = [line(step) for step in run.steps[-MOST_STEPS:]]
    return "\n".join([part for part in (answer, *(f"[{one}]" for one in lines)) if part])


def line(step: Step) -> str:
    """Return a step as a line: what was called, and what came of it."""
    arguments = ", ".join(
        f"{name}={json.dumps(value, ensure_ascii=False, default=str)}"
        for name, value in step.arguments.items()
    )
    outcome = f"failed: {_cut(step.error)}" if step.error is not None else "answered"
    return f"{step.name}({_cut(arguments, 120)}) {outcome}, {step.ms} ms"


def meta_of(run: Run) -> dict[str, Any]:
    """Return every step whole, as long as that is not too much, for programs."""
    steps = [asdict(step) for step in run.steps]
    if len(json.dumps(steps, default=str)) > MOST_BYTES:
        return {}
    return {f"{PREFIX}steps": steps} if steps else {}


def _shown(step: Step) -> StepShown:
    return StepShown(
        tool=step.name,
        arguments={name: _short(value) for name, value in step.arguments.items()},
        result=None if step.result is None else _cut(step.result),
        error=None if step.error is None else _cut(step.error),
        ms=step.ms,
    )


def _short(value: Any) -> Any:
    text = value if isinstance(value, str) else json.dumps(value, default=str)
    return value if len(text) <= SHOWN else _cut(text)


def _cut(text: str, most: int = SHOWN) -> str:
    return text if len(text) <= most else f"{text[:most]}… ({len(text)} characters)"
