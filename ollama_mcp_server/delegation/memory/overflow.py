"""What becomes of a conversation that no longer fits its model's window: what the caller says.

Nothing is dropped unasked, a turn never in part, and what was dropped is told. A turn is what a
caller sent (one user message, or several in a row) with everything up to the next: an assistant's
tool calls stay with their answers. System messages stay where they are.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from ...errors import ContextOverflow, DaemonError

if TYPE_CHECKING:
    from ..answer import Answer

#: What to do when a conversation does not fit.
OnOverflow = Literal["error", "drop_oldest", "summarize"]
Message = dict[str, Any]
#: Asks a model; raises ContextOverflow where the messages do not fit.
Ask = Callable[[list[Message]], Awaitable["Answer"]]

#: The share of the window that what is kept may fill, so that the answer, and a summary, have room.
SHARE = {"drop_oldest": 0.75, "summarize": 0.5}
#: A picture weighs like so many bytes of text.
PICTURE = 2_000

_OFFER = 'Send on_overflow: "drop_oldest" or "summarize" to go on without the oldest turns'
_SUMMARIZE = """\
{transcript}

Above is the first part of a conversation between a user and an assistant. Summarise it in at most \
200 words, for the assistant, who will go on with the conversation without seeing that part again. \
Keep names, numbers, decisions, what the user wants, and what is still open. Answer with the \
summary alone.
"""
# As a user's message: what the old turns held, texts of others included, must not gain the
# authority of a system prompt; and as a turn of its own it can be summarised again.
_SUMMARY = "Summary of the first part of our conversation:\n\n{text}"
_NOTED = "I have noted it."


class Fitted(NamedTuple):
    """An answer, the messages that it was given to, and what a reader must know of those."""

    answer: Answer
    messages: list[Message]
    note: str | None


async def fit(
    ask: Ask,
    messages: list[Message],
    on_overflow: OnOverflow = "error",
    summarize: Ask | None = None,
) -> Fitted:
    """Ask a model with as much of a conversation as fits its window.

    Args:
        ask: asks the model.
        messages: the conversation, the newest message last.
        on_overflow: `error` gives up; `drop_oldest` drops the oldest turns; `summarize` puts a
            summary in their place.
        summarize: asks for that summary, without the call's tools and format; default `ask`.

    Raises:
        ContextOverflow: it does not fit, and nothing may or can be dropped.
    """
    kept, cut, text = messages, 0, ""
    while True:
        try:
            return Fitted(await ask(kept), kept, _told(messages, cut, text))
        except ContextOverflow as error:
            after, cut = cut, _cut(error, messages, cut, kept, on_overflow)
        kept = drop_oldest(messages, cut)
        if on_overflow == "summarize":
            old = [m for m in messages[after:cut] if m.get("role") != "system"]
            text = await _summary(summarize or ask, old, text)
            kept = with_summary(kept, text)


def turns(messages: list[Message]) -> list[int]:
    """Return the indices where a turn begins, but for the first of the conversation."""
    said = [index for index, message in enumerate(messages) if message.get("role") != "system"]
    asks = [messages[index].get("role") == "user" for index in said]
    pairs = zip(pairwise(asks), said[1:], strict=True)
    return [index for (before, here), index in pairs if here and not before]


def drop_oldest(messages: list[Message], cut: int) -> list[Message]:
    """Return the messages from `cut`, a beginning of a turn, on, and all system messages."""
    return [m for i, m in enumerate(messages) if i >= cut or m.get("role") == "system"]


def where_to_cut(messages: list[Message], after: int, allowed: float) -> int | None:
    """Return the first beginning of a turn beyond `after` from which on all weighs `allowed` bytes.

    If even the newest turn weighs more, it is that one's; None if there is none beyond `after`.
    """
    beyond = [index for index in turns(messages) if index > after]
    fits = (index for index in beyond if weight(drop_oldest(messages, index)) <= allowed)
    return next(fits, beyond[-1] if beyond else None)


def weight(messages: list[Message]) -> int:
    """Return about how many bytes messages add to a prompt."""
    return sum(
        len(str(m.get("content") or "").encode(errors="replace"))
        + len(str(m.get("thinking") or ""))
        + (len(json.dumps(m["tool_calls"])) if m.get("tool_calls") else 0)
        + PICTURE * len(m.get("images") or ())
        for m in messages
    )


def with_summary(messages: list[Message], text: str) -> list[Message]:
    """Return the messages with a summary as their first turn, after the leading system messages."""
    lead = next((i for i, m in enumerate(messages) if m.get("role") != "system"), len(messages))
    pair = [
        {"role": "user", "content": _SUMMARY.format(text=text)},
        {"role": "assistant", "content": _NOTED},
    ]
    return [*messages[:lead], *pair, *messages[lead:]]


def summary_prompt(old: list[Message], earlier: str = "") -> list[Message]:
    """Return the messages that ask for a summary of old turns and of what came before them."""
    lines = [_SUMMARY.format(text=earlier)] if earlier else []
    for message in old:
        calls = [call["function"] for call in message.get("tool_calls") or ()]
        said = [
            *["[a picture]" for _ in message.get("images") or ()],
            str(message.get("content") or ""),
            *[f"[calls {c['name']} with {json.dumps(c.get('arguments') or {})}]" for c in calls],
        ]
        who = message.get("tool_name") or message.get("role")
        lines.append(f"{who}: {' '.join(part for part in said if part)}")
    return [{"role": "user", "content": _SUMMARIZE.format(transcript="\n\n".join(lines))}]


async def _summary(ask: Ask, old: list[Message], earlier: str) -> str:
    """Return a summary of old turns, made in steps where they do not fit at once."""
    try:
        text = (await ask(summary_prompt(old, earlier))).content.strip()
    except ContextOverflow as error:
        if not (cuts := turns(old)):
            error.hint = f"A turn is too long to be summarised. {error.hint}"
            raise
    else:
        if not text:
            raise DaemonError(
                "the model was asked to summarise the oldest turns, and answered nothing",
                'Send on_overflow: "drop_oldest", or name another model',
            )
        return text
    middle = cuts[len(cuts) // 2]
    earlier = await _summary(ask, old[:middle], earlier)
    return await _summary(ask, old[middle:], earlier)


def _cut(
    error: ContextOverflow,
    messages: list[Message],
    after: int,
    sent: list[Message],
    on_overflow: OnOverflow,
) -> int:
    """Return where to cut the messages after `sent` did not fit, or raise why not."""
    if on_overflow == "error":
        if turns(messages):
            error.hint = f"{_OFFER}. {error.hint}"
        raise error
    needed, window = error.details.get("prompt_tokens"), error.details.get("context")
    # Without numbers a half of it goes.
    share = SHARE[on_overflow] * (window / needed if needed and window else 0.5)
    cut = where_to_cut(messages, after, weight(sent) * share)
    if cut is None:
        if turns(messages):
            error.hint = f"The newest message alone does not fit. {error.hint}"
        raise error
    return cut


def _told(messages: list[Message], cut: int, summary: str) -> str | None:
    """Return what a reader must know of the messages that are gone."""
    gone = sum(message.get("role") != "system" for message in messages[:cut])
    if not gone:
        return None
    how = "replaced by a summary" if summary else "dropped"
    return f"the oldest {gone} of {len(messages)} messages did not fit the window and were {how}"
