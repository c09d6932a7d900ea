"""Answers by a JSON Schema: asked for again where they do not fit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import anyio

from ...errors import ContextOverflow, OllamaMCPError, ToolFailed
from ..answer import Answer
from .parsing import Parsed, parse

#: What the daemon counts and measures; of several tries, the sum is told.
COUNTED = (
    "total_duration",
    "load_duration",
    "prompt_eval_count",
    "prompt_eval_cached_count",
    "prompt_eval_duration",
    "eval_count",
    "eval_duration",
)
#: Asks the model, with earlier answers and what was said to each at the end of the conversation.
Ask = Callable[[list[tuple[str, str]]], Awaitable[Answer]]


def correction(violations: Sequence[str]) -> str:
    """Return what the model is told of an answer that did not fit."""
    listed = "\n".join(f"- {violation}" for violation in violations)
    return (
        f"That answer cannot be used:\n{listed}\n"
        "Answer again: the whole JSON, corrected, and nothing else."
    )


async def ask_for_data(ask: Ask, schema: dict[str, Any] | None, retries: int = 2) -> Answer:
    """Ask for JSON until it fits the schema; return the answer with its `data`.

    Tokens and durations of the answer are the sums of all tries. An answer that was cut at the
    length limit is not asked for again: the next would be cut as well, at the same cost.

    Args:
        ask: asks once; it is given the earlier answers and their corrections, and may return the
            same object each time.
        schema: the caller's own; None asks only for JSON.
        retries: how often the model is asked again.

    Raises:
        ToolFailed: what came does not fit; `details` has its `content` and the `violations`.
        OllamaMCPError: whatever went wrong in asking.
    """
    corrections: list[tuple[str, str]] = []
    spent: dict[str, int] = {}
    first: list[str] = []
    for attempt in range(max(retries, 0) + 1):
        try:
            answer = await ask(corrections)
        except ContextOverflow:
            if not corrections:
                raise
            break  # the corrections did not fit any more; the failure is the one before
        spent = {key: spent.get(key, 0) + (answer.final.get(key) or 0) for key in COUNTED}
        if _asks_for_none(answer):
            return answer
        parsed = await anyio.to_thread.run_sync(
            parse, answer.content, schema, abandon_on_cancel=True
        )
        if not parsed.violations:
            return _complete(answer, parsed, spent, attempt + 1, first)
        if answer.done_reason == "length" and not parsed.is_json:
            raise _cut(answer.content, parsed.violations)
        first = first or parsed.violations
        corrections.append((answer.content, correction(parsed.violations)))
        content, wrong = answer.content, parsed.violations
    raise _unfit(content, wrong, len(corrections))


def _asks_for_none(answer: Answer) -> bool:
    """Return whether no JSON is to be expected: tools are called, or nothing was asked."""
    return (
        (bool(answer.tool_calls) and not answer.content)
        or answer.done_reason in ("load", "unload")
        or "_debug_info" in answer.final
    )


def _complete(
    answer: Answer, parsed: Parsed, spent: dict[str, int], asked: int, first: list[str]
) -> Answer:
    """Fill in what the answer is as data, and what it cost."""
    if parsed.text != answer.content.strip():
        answer.warnings.append("what stood around the JSON was left out")
    if asked > 1:
        answer.warnings.append(f"asked {asked} times: the first answer did not fit: {first[0]}")
        answer.final.update({key: value for key, value in spent.items() if value})
    answer.content, answer.data = parsed.text, parsed.data
    return answer


def _cut(content: str, wrong: list[str]) -> OllamaMCPError:
    return ToolFailed(
        "the answer was cut at the length limit before its JSON was complete",
        "Raise options.num_predict or num_ctx, or ask for less: shorter lists, maxItems, maxLength",
        content=content,
        violations=wrong,
        done_reason="length",
    )


def _unfit(content: str, wrong: list[str], asked: int) -> OllamaMCPError:
    times = "once" if asked == 1 else f"{asked} times"
    return ToolFailed(
        f"the model was asked {times}, and its answer does not fit: {wrong[0]}",
        "Say in the prompt what each field means, simplify the schema, or take a larger model; "
        "details.content has the last answer",
        content=content,
        violations=wrong,
        asked=asked,
    )
