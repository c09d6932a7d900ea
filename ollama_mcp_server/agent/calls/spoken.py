"""Calls that a model wrote into its text, where its template knows no other way, or missed them.

The rule: calls count where they are what the message says, not what it speaks of. They begin it,
whatever follows on further lines, or they end it, after lines of prose; between prose and prose
they are a quotation. Each stands on lines of its own: as JSON, in a fence that holds nothing else,
or after a tag that templates write. A call as Python writes it counts after such a tag, or where
the whole message is that. What is thought does not count, nor what a tool's result said before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ..events import Call
from ..offers.offer import Offered, find
from .literals import read
from .notation import read_calls

#: Different calls of one message, places where reading may fail, and characters, at most.
MOST_CALLS = 32
MOST_FAILURES = 50
MOST_CHARACTERS = 300_000

_OPENING = (
    r"<(?:tool_calls?|function_calls?)>|<\|(?:tool_calls?|tool_call_start|python_tag)\|>"
    r"|\[TOOL_CALLS\]"
)
_OPEN = re.compile(_OPENING)
#: What stands around calls and between them: white space, tags, ends of turns, commas.
_AMONG = re.compile(
    rf"(?:\s+|{_OPENING}|</(?:tool_calls?|function_calls?|function|s)>"
    r"|<\|/?(?:tool_calls?|tool_call_end|im_end|eot_id|eom_id|end|endoftext)\|>|[,;}\]])*"
)
#: Where a call may begin: a line that begins with one of these.
_BEGINNING = re.compile(r"^[ \t]*(?=[<\[{`])", re.MULTILINE)
_FENCE = re.compile(r"```([\w-]*)[^\n`]*\n")
_FENCE_END = re.compile(r"^[ \t]*```[ \t]*$", re.MULTILINE)
#: The languages of fences that are tags as well.
_MARKING = ("tool_call", "tool_calls", "tool_code")
_CODE = re.compile(r"([^\W\d][\w.:/-]{0,255})[ \t]*(?=\()")
_BETWEEN = re.compile(r"[\s,;]*")
#: From here on a model makes up what others say, or begins to think.
_FICTION = re.compile(
    r"<tool_response>|\[TOOL_RESULTS\]|<\|(?:im_start|start_header_id)\|>|<think(?:ing)?>"
)
_THOUGHT = re.compile(r"</think(?:ing)?>")
_UNSAID = re.compile(r"[\s\\\"']+")


def spoken(
    text: str, offered: Sequence[Offered], told: Iterable[str] = ()
) -> tuple[list[Call], str]:
    """Return the calls of offered tools that a text makes, each once, and the text without them.

    A text that makes none is returned as it is. `told` is what tools have said: a call that stands
    there is a quotation, whoever repeats it.
    """
    if not offered or len(text) > MOST_CHARACTERS:
        return [], text
    return _Reading(text, offered, told).result()


@dataclass
class _Run:
    """Calls that follow one another, with the tags around them."""

    start: int
    end: int
    calls: list[Call]


class _Reading:
    """One reading of a message, from its beginning to its end."""

    def __init__(self, text: str, offered: Sequence[Offered], told: Iterable[str]) -> None:
        self._text = text
        self._end = len(text)
        self._offered = offered
        self._found: dict[str, Offered | None] = {}
        self._told = [_UNSAID.sub("", said) for said in told]
        self._quoted: dict[str, bool] = {}
        self._failures = MOST_FAILURES

    def result(self) -> tuple[list[Call], str]:
        """Return the calls that count, and what else is said."""
        text = self._text
        begin, runs = self._read(0)
        if thought := self._thought(runs):
            self._end, self._failures = len(text), MOST_FAILURES
            begin, runs = self._read(thought)
        runs = [run for run in runs if run.start == begin or run.end == self._end]
        calls = {_key(call): call for run in reversed(runs) for call in reversed(run.calls)}
        if not calls:
            return [], text
        rest, at = [], 0
        for run in runs:
            rest.append(text[at : run.start].rstrip())
            at = run.end
        rest.append(text[at : self._end].strip())
        return [*reversed(calls.values())][:MOST_CALLS], "\n".join(part for part in rest if part)

    def _read(self, at: int) -> tuple[int, list[_Run]]:
        """Return where a message begins from there on, and all its calls."""
        while at < len(self._text) and self._text[at].isspace():
            at += 1
        return at, self._code(at) or self._runs(at)

    def _thought(self, runs: Sequence[_Run]) -> int:
        """Return where the last thought ends, outside of calls, or 0."""
        stop = len(self._text)
        for run in (*reversed(runs), _Run(0, 0, [])):
            if thoughts := [*_THOUGHT.finditer(self._text, run.end, stop)]:
                return thoughts[-1].end()
            stop = run.start
        return 0

    def _runs(self, begin: int) -> list[_Run]:
        """Return all calls that follow one another, wherever they stand."""
        text, at = self._text, begin
        runs: list[_Run] = []
        while at < self._end and self._failures > 0:
            if _FICTION.match(text, at):
                self._end = at
                break
            run, at = self._run(at)
            if run is not None:
                runs.append(run)
            elif beginning := _BEGINNING.search(text, at):
                at = beginning.end()
            else:
                break
        return runs

    def _run(self, start: int) -> tuple[_Run | None, int]:
        """Return the calls from here on, if any stand here alone, and where to read on."""
        text, at, end = self._text, start, start
        calls: list[Call] = []
        is_marked = False
        while self._failures > 0:
            after = self._after(at)
            is_marked = is_marked or bool(_OPEN.search(text, at, after))
            fence = _FENCE.match(text, after)
            made, at = self._fenced(fence, is_marked) if fence else self._one(after, is_marked)
            if not made:
                break
            calls += made
            end = at
        after = self._after(end)
        is_alone = after == len(text) or "\n" in text[end:after] or _FICTION.match(text, after)
        if calls and is_alone:
            return _Run(start, after, calls), max(at, after)
        return None, max(at, after, start + 1)

    def _after(self, at: int) -> int:
        among = _AMONG.match(self._text, at)
        return among.end() if among else at

    def _fenced(self, fence: re.Match[str], is_marked: bool) -> tuple[list[Call], int]:
        """Return the calls of a fence, if it holds nothing else, and where it ends."""
        text, at = self._text, fence.end()
        is_marked = is_marked or fence[1] in _MARKING
        calls: list[Call] = []
        while self._failures > 0:
            after = self._after(at)
            is_marked = is_marked or bool(_OPEN.search(text, at, after))
            if after == len(text) or text.startswith("```", after):
                return calls, min(after + 3, len(text))
            made, at = self._one(after, is_marked)
            if not made:
                break
            calls += made
        closed = _FENCE_END.search(text, at)
        return [], closed.end() if closed else len(text)

    def _one(self, at: int, is_marked: bool) -> tuple[list[Call], int]:
        """Return the calls that begin here, and where they end; none where they are quoted."""
        try:
            calls, end = read_calls(self._text, at, self._find, is_marked=is_marked)
        except ValueError:
            self._failures -= 1
            return [], at
        return ([] if calls and self._is_quoted(self._text[at:end]) else calls), end

    def _code(self, begin: int) -> list[_Run]:
        """Return the calls of a message that is nothing but calls as Python writes them."""
        whole = self._text[begin:].strip()
        if fence := _FENCE.match(whole):
            whole = whole[fence.end() :].removesuffix("```").strip()
        if whole.startswith("[") and whole.endswith("]"):
            whole = whole[1:-1].strip()
        calls: list[Call] = []
        at = 0
        while at < len(whole):
            named = _CODE.match(whole, at)
            if named is None or (found := self._find(named[1])) is None:
                return []
            try:
                arguments, end = read(whole, named.end())
            except ValueError:
                return []
            if self._failures <= 0 or self._is_quoted(whole[at:end]):
                return []
            calls.append(Call(found.name, arguments))
            between = _BETWEEN.match(whole, end)
            at = between.end() if between else end
        return [_Run(begin, len(self._text), calls)] if calls else []

    def _find(self, name: str) -> Offered | None:
        if name not in self._found:
            self._found[name] = find(name, self._offered)
        return self._found[name]

    def _is_quoted(self, source: str) -> bool:
        """Return whether a tool said this before, whatever its quotes and spaces.

        Where there are more different ones than a message may make, reading ends.
        """
        if source not in self._quoted:
            unsaid = _UNSAID.sub("", source)
            self._quoted[source] = any(unsaid in said for said in self._told)
            if len(self._quoted) > MOST_CALLS:
                self._failures = 0
        return self._quoted[source]


def _key(call: Call) -> str:
    return json.dumps([call.name, call.arguments], sort_keys=True)
