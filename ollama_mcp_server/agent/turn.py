"""One turn of a model: native calls, or an answer held to a JSON Schema."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..daemon.wire import Part
from ..delegation.answer import Answer, Heard
from ..errors import DaemonError, ToolFailed
from ..progress import Progress
from .calls.reading import spoken
from .events import Call, Mode, Said
from .offers import fallback
from .offers.offer import Offered

#: What the daemon says of a call that it cannot read, where it does not swallow it.
UNREADABLE = "error parsing tool call"
#: Asks `/api/chat`, or what stands for it; `body` holds None for what was not given.
Ask: TypeAlias = "Callable[[Part, Progress, Heard | None], Awaitable[Answer]]"
#: Hears what the model says, as it says it.
Hear: TypeAlias = "Callable[[Said], None]"


@dataclass
class Turn:
    """What a model said, and the calls that it asks for."""

    content: str
    thinking: str
    calls: list[Call]
    answer: Answer
    #: Whether the calls were written as text.
    spoken: bool = False
    #: What further asking of the same turn cost, beside `answer`.
    others: list[Answer] = field(default_factory=list)
    #: How it was asked in the end: natively nothing may have come that can be read.
    mode: Mode = "native"


async def take_turn(
    ask: Ask,
    body: Part,
    offered: Sequence[Offered],
    mode: Mode,
    progress: Progress,
    heard: Hear | None = None,
) -> Turn:
    """Ask a model for its next turn.

    Args:
        ask: asks the model.
        body: the request; its messages are in Ollama's own form, whatever the mode.
        offered: the tools that it may call; none asks for words.
        mode: native sends `tools`; fallback holds the answer to "call a tool, or answer".
        progress: told of each phase and token.
        heard: hears what is said as it is said.

    Raises:
        OllamaMCPError: the model could not be asked.
    """
    body = {name: value for name, value in body.items() if value is not None}
    body["options"] = {"temperature": 0, **(body.get("options") or {})}
    if mode == "fallback":
        return await _constrained(ask, body, offered, progress, heard)
    if not offered:
        return _plain(await ask(body, progress, _hearing(heard)))
    body["tools"] = [one.function for one in offered]
    try:
        answer = await ask(body, progress, _hearing(heard))
    except DaemonError as error:
        if UNREADABLE not in error.message:
            raise
        return await _constrained(ask, _without_tools(body), offered, progress, heard)
    calls = [
        Call(
            call["function"].get("name") or "",
            call["function"].get("arguments"),
            call.get("id") or new_id(),
        )
        for call in answer.tool_calls
    ]
    if calls:
        return Turn(answer.content, answer.thinking, calls, answer)
    told = [str(said["content"]) for said in body["messages"] if said["role"] == "tool"]
    written, rest = spoken(answer.content, offered, told)
    if written:
        named = [Call(call.name, call.arguments, call.id or new_id()) for call in written]
        return Turn(rest, answer.thinking, named, answer, spoken=True)
    if not answer.content.strip() and answer.done_reason == "stop":
        # A call that cannot be parsed is swallowed by the daemon: no words, no call.
        turn = await _constrained(ask, _without_tools(body), offered, progress, heard)
        turn.others.append(answer)
        return turn
    return _plain(answer)


async def _constrained(
    ask: Ask, body: Part, offered: Sequence[Offered], progress: Progress, heard: Hear | None
) -> Turn:
    """Ask which tool is to be called, in a form that any model can keep to; if none, for words."""
    messages, spent = body["messages"], []
    warnings = []
    if offered:
        wanted = {
            **body,
            "messages": fallback.deciding(messages, offered),
            "format": fallback.schema(offered),
        }
        wanted.pop("think", None)
        try:
            decided = await ask(wanted, progress, None)
        except ToolFailed as error:  # it did not keep to the form, however often it was asked
            warnings.append(f"no tool was chosen, so the model answered in words: {error.message}")
        else:
            call = fallback.call_of(decided.data, offered, new_id())
            if call is not None and not fallback.is_known(call, messages):
                return Turn("", decided.thinking, [call], decided, mode="fallback")
            spent.append(decided)
    answer = await ask(
        {**body, "messages": fallback.answering(messages)}, progress, _hearing(heard)
    )
    answer.warnings += warnings
    return Turn(answer.content, answer.thinking, [], answer, others=spent, mode="fallback")


def _without_tools(body: Part) -> Part:
    return {name: value for name, value in body.items() if name != "tools"}


def _plain(answer: Answer) -> Turn:
    return Turn(answer.content, answer.thinking, [], answer)


def new_id() -> str:
    """Return an id for a call, in the daemon's own form."""
    return f"call_{secrets.token_hex(4)}"


def _hearing(heard: Hear | None) -> Heard | None:
    """Return what hears the daemon's parts for one who hears what is said."""
    if heard is None:
        return None

    def hear(part: Part) -> None:
        message = part.get("message") or {}
        content, thinking = message.get("content") or "", message.get("thinking") or ""
        if content or thinking:
            heard(Said(content, thinking))

    return hear
