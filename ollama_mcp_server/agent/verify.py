"""Whether a model is any good at calling tools: six small tasks, natively and by the fallback."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import mcp_types

from ..daemon.wire import Part
from ..progress import Progress
from .calls.reading import mend
from .events import Mode
from .offers.offer import Offered, offer
from .turn import Ask, Turn, new_id, take_turn

#: Characters of what a model did that are shown.
SHOWN = 120

STRING = {"type": "string"}
NUMBER = {"type": "integer"}


@dataclass(frozen=True)
class Outcome:
    """What a model did with one task."""

    probe: str
    passed: bool
    did: str


@dataclass(frozen=True)
class Report:
    """What a model did in each mode that it was tried in, and in which it will be asked."""

    model: str
    mode: Mode
    outcomes: dict[Mode, list[Outcome]]


#: Asks for a turn of a conversation, with these tools offered.
Take = Callable[[list[Part], Sequence[Offered]], Awaitable[Turn]]
#: Tries something, and returns whether it went well, and what the model did.
Probe = Callable[[Take], Awaitable[tuple[bool, str]]]


def _tool(name: str, description: str, **properties: dict[str, str]) -> mcp_types.Tool:
    schema = {"type": "object", "properties": properties, "required": list(properties)}
    return mcp_types.Tool(name=name, description=description, input_schema=schema)


WEATHER = _tool("get_weather", "Get the current weather of a city.", city=STRING)
TIME = _tool("get_time", "Get the current time.")
ADD = _tool("add", "Add two numbers.", a=NUMBER, b=NUMBER)
SEARCH = _tool("search_notes", "Search the user's notes for a text.", text=STRING)


def _offered(*tools: mcp_types.Tool) -> list[Offered]:
    return offer({"demo": list(tools)}, "")[0]


def _user(text: str) -> Part:
    return {"role": "user", "content": text}


async def required_call(take: Take) -> tuple[bool, str]:
    """Call the one tool that the task needs."""
    turn = await take([_user("What is the weather in Paris?")], _offered(WEATHER))
    return _calls(turn, "get_weather") and _city(turn, 0) == "Paris", did(turn)


async def right_choice(take: Take) -> tuple[bool, str]:
    """Choose the right one of several tools."""
    offered = _offered(ADD, TIME, WEATHER, SEARCH)
    turn = await take([_user("What is the weather in Oslo today?")], offered)
    return _calls(turn, "get_weather") and _city(turn, 0) == "Oslo", did(turn)


async def right_arguments(take: Take) -> tuple[bool, str]:
    """Give the arguments that the task names, as the schema wants them."""
    turn = await take([_user("Add 17 and 25.")], _offered(ADD))
    if not _calls(turn, "add"):
        return False, did(turn)
    arguments, wrong = mend(turn.calls[0].arguments, ADD.input_schema)
    return not wrong and sorted(arguments.values()) == [17, 25], did(turn)


async def no_call(take: Take) -> tuple[bool, str]:
    """Answer without a call where none is needed."""
    turn = await take([_user("What is the capital of France?")], _offered(WEATHER))
    return not turn.calls and "Paris" in turn.content, did(turn)


async def uses_result(take: Take) -> tuple[bool, str]:
    """Answer with what a tool has said."""
    offered = _offered(WEATHER)
    said = _answered([_user("What is the weather in Paris?")], offered[0], "Paris", "17 degrees")
    turn = await take(said, offered)
    return not turn.calls and "17" in turn.content, did(turn)


async def two_calls(take: Take) -> tuple[bool, str]:
    """Make two calls: in one turn, or the second once the first is answered."""
    offered = _offered(WEATHER)
    task = _user("What is the weather in Paris, and what is the weather in Rome?")
    turn = await take([task], offered)
    cities = [_city(turn, number) for number in range(len(turn.calls))]
    told = did(turn)
    if len(cities) == 1 and cities[0] in ("Paris", "Rome"):
        turn = await take(_answered([task], offered[0], cities[0], "17 degrees"), offered)
        cities += [_city(turn, number) for number in range(len(turn.calls))]
        told = f"{told}; then {did(turn)}"
    return sorted(cities) == ["Paris", "Rome"], told[:SHOWN]


#: Every probe, by the name that people read.
PROBES: dict[str, Probe] = {
    "calls a tool where one is needed": required_call,
    "chooses the right tool of four": right_choice,
    "gives the right arguments": right_arguments,
    "calls none where none is needed": no_call,
    "uses a tool's result": uses_result,
    "makes two calls": two_calls,
}


async def verify(
    ask: Ask, model: str, progress: Progress, *, is_native: bool, think: bool | str | None = None
) -> Report:
    """Let a model do every probe, in each mode.

    Args:
        ask: asks the model.
        model: its name.
        progress: told of each probe.
        is_native: whether it takes `tools` at all; else only the fallback is tried.
        think: as in a request.

    Raises:
        OllamaMCPError: the model could not be asked.
    """
    modes: tuple[Mode, ...] = ("native", "fallback") if is_native else ("fallback",)
    outcomes: dict[Mode, list[Outcome]] = {}
    for mode in modes:
        outcomes[mode] = []
        for number, (name, probe) in enumerate(PROBES.items(), 1):
            progress.prefix = f"{mode}, {number} of {len(PROBES)} ({name}): "

            async def take(messages: list[Part], offered: Sequence[Offered]) -> Turn:
                body = {"model": model, "messages": messages, "think": think}
                return await take_turn(ask, body, offered, mode, progress)  # noqa: B023

            passed, told = await probe(take)
            outcomes[mode].append(Outcome(name, passed, told))
            progress.note(f"{name}: {'passed' if passed else 'failed'}")
    return Report(model, best(outcomes), outcomes)


def best(outcomes: dict[Mode, list[Outcome]]) -> Mode:
    """Return the mode in which more was passed; the native one where it is as good.

    A model that natively makes no call at all is asked by the fallback, whatever else it passes.
    """
    native = outcomes.get("native")
    if native is None or not native[0].passed:
        return "fallback"
    passed = {mode: sum(one.passed for one in each) for mode, each in outcomes.items()}
    return "native" if passed["native"] >= passed.get("fallback", 0) else "fallback"


def did(turn: Turn) -> str:
    """Return what a model did, in short; an answer in words is told from a call."""
    if turn.calls:
        calls = [f"{call.name}({json.dumps(call.arguments)})" for call in turn.calls]
        told = f"called {', '.join(calls)}" + (" in text" if turn.spoken else "")
    elif turn.content.strip():
        told = f"answered in words: {' '.join(turn.content.split())}"
    else:
        told = "said nothing"
    return told[:SHOWN]


def _calls(turn: Turn, tool: str) -> bool:
    return len(turn.calls) == 1 and turn.calls[0].name.endswith(tool)


def _city(turn: Turn, number: int) -> str:
    arguments = turn.calls[number].arguments
    return str(arguments.get("city", "")) if isinstance(arguments, dict) else ""


def _answered(messages: list[Part], tool: Offered, city: str, result: str) -> list[Part]:
    """Return a conversation in which a call of a tool was answered."""
    number = new_id()
    call = {"id": number, "function": {"name": tool.name, "arguments": {"city": city}}}
    return [
        *messages,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_name": tool.name, "tool_call_id": number, "content": result},
    ]
