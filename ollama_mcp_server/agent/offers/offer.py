"""What a model is offered: the tools of the servers, under names that every model can write."""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from ...daemon.wire import Part
from ...errors import InvalidArgument
from .parameters import told
from .relevance import chosen, scores
from .wording import defused

if TYPE_CHECKING:
    import mcp_types

#: Tools that a model is offered at most; of more of them, small models choose badly.
LIMIT = 24
#: Characters of a name that every model's grammar takes, and of a description.
LONGEST_NAME = 64
DESCRIPTION = 400
#: What stands between server and tool.
JOINT = "__"
#: Names that are told where none is like the one that was called.
NAMED = 12
_FOREIGN = re.compile(r"[^A-Za-z0-9_-]+")
#: What models put before a function's name, as the code that they learned from has it.
_NAMESPACES = ("functions.", "default_api.", "tools.")


@dataclass(frozen=True)
class Offered:
    """A tool as a model is offered it.

    Attributes:
        name: what the model calls it, `server__tool`; unique among those offered.
        server: the server that has it.
        tool: the tool as its server describes it.
        function: the entry of `tools` that Ollama is sent.
    """

    name: str
    server: str
    tool: mcp_types.Tool
    function: dict[str, Any]


def offer(
    tools: Mapping[str, Sequence[mcp_types.Tool]], task: str, limit: int = LIMIT
) -> tuple[list[Offered], list[str]]:
    """Return what a model is offered, in the servers' order, and warnings.

    Of more than `limit` tools those are offered whose names and descriptions share most with the
    task; each server keeps its best one, if there is room. A tool's name does not depend on which
    others are offered beside it.
    """
    known = {(server, tool.name): tool for server in tools for tool in reversed(tools[server])}
    every = [key for server in tools for key in _unique((server, t.name) for t in tools[server])]
    names = _names(every)
    places = list(range(len(every)))
    warnings = []
    if len(every) > limit:
        shares = scores(task, [(key[0], known[key]) for key in every])
        places = chosen([server for server, _ in every], shares, limit)
        warnings.append(_left_out(every, places))
    offered = []
    for place in places:
        server, name = every[place]
        tool = known[every[place]]
        try:
            parameters = told(tool.input_schema)
        except InvalidArgument as error:
            parameters = {"type": "object", "properties": {}}
            warnings.append(f"{server}:{name} is offered without parameters: {error.message}")
        function = {
            "name": names[place],
            "description": defused(tool.description, DESCRIPTION) or f"Call {defused(name, 100)}",
            "parameters": parameters,
        }
        entry = {"type": "function", "function": function}
        offered.append(Offered(names[place], server, tool, entry))
    return offered, warnings


def client_tool(entry: Part) -> Offered:
    """Return a function of the client's own as it is offered: by its name, and of no server."""
    import mcp_types

    function = entry["function"]
    schema = function.get("parameters") or {"type": "object"}
    described = mcp_types.Tool(name=function["name"], input_schema=schema)
    return Offered(function["name"], "", described, entry)


def _left_out(every: Sequence[tuple[str, str]], places: Sequence[int]) -> str:
    """Return the warning that tells how many tools are not offered, and how to choose."""
    kept = set(places)
    server, name = next(key for place, key in enumerate(every) if place not in kept)
    return (
        f"{len(every) - len(kept)} of {len(every)} tools were left out, being least like the task; "
        f'choose with tools, as tools=["{server}:{name}"] or tools=["{server}:*"]'
    )


def _unique(keys: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return list(dict.fromkeys(keys))


def _names(keys: Sequence[tuple[str, str]]) -> list[str]:
    """Return a name for each tool; one that needs no change is taken by nobody else."""
    names: dict[int, str] = {}
    taken: set[str] = set()
    plain = [f"{server}{JOINT}{tool}" for server, tool in keys]
    wanted = [_callable(server, tool) for server, tool in keys]
    for place in sorted(range(len(keys)), key=lambda place: wanted[place] != plain[place]):
        names[place] = next(name for name in _numbered(wanted[place]) if name not in taken)
        taken.add(names[place])
    return [names[place] for place in range(len(keys))]


def _callable(server: str, tool: str) -> str:
    """Return `server__tool` in letters that every model can write, cut with a hash of the whole."""
    name = JOINT.join(_FOREIGN.sub("_", part) or "_" for part in (server, tool))
    if len(name) <= LONGEST_NAME:
        return name
    digest = hashlib.sha256(f"{server}:{tool}".encode(errors="replace")).hexdigest()[:8]
    return f"{name[: LONGEST_NAME - 9]}_{digest}"


def _numbered(name: str) -> Iterator[str]:
    yield name
    number = 1
    while True:
        number += 1
        yield f"{name[: LONGEST_NAME - len(str(number)) - 1]}_{number}"


def matches(patterns: Sequence[str] | None, server: str, tool: str) -> bool:
    """Return whether a pattern means this tool; None means every tool.

    Patterns are `tool`, or `server:tool`, either with `*`, `?` and `[…]`.
    """
    if patterns is None:
        return True
    whole = f"{server}:{tool}"
    return any(
        fnmatchcase(tool, pattern) or (":" in pattern and fnmatchcase(whole, pattern))
        for pattern in patterns
    )


def find(name: str, offered: Sequence[Offered]) -> Offered | None:
    """Return the tool that a model means by a name, or None if that is not certain.

    It may write `server__tool`, `server:tool`, `server.tool`, `server/tool`, or the tool alone
    where one server has it; then the same in other letters, or with other signs between the words.
    """
    if not isinstance(name, str) or len(name) > 4 * LONGEST_NAME:
        return None
    given = [name := name.strip()]
    given += [name.removeprefix(before) for before in _NAMESPACES if name.startswith(before)]
    for wanted in given:
        for alike in (str, str.casefold, _skeleton):
            for forms in (_whole, _alone):
                found = [one for one in offered if alike(wanted) in map(alike, forms(one))]
                if len(found) == 1:
                    return found[0]
                if found and alike is str and forms is _whole:
                    return next((one for one in found if one.name == wanted), None)
    return None


def _whole(one: Offered) -> list[str]:
    return [one.name, *(f"{one.server}{joint}{one.tool.name}" for joint in (JOINT, *":./"))]


def _alone(one: Offered) -> list[str]:
    return [one.tool.name]


def _skeleton(name: str) -> str:
    return re.sub(r"[\W_]+", "_", name.casefold())


def unknown(name: str, offered: Sequence[Offered]) -> str:
    """Return what a model is told that called a tool that is not there."""
    said = f"Tool not found: {defused(name, 80)}."
    if not offered:
        return f"{said} There are no tools; answer without one"
    names = [one.name for one in offered]
    known = {form.casefold(): one.name for one in offered for form in (*_alone(one), one.name)}
    close = difflib.get_close_matches(str(name)[:100].casefold(), known, 6, 0.55)
    if near := list(dict.fromkeys(known[form] for form in close))[:3]:
        return f"{said} Did you mean {' or '.join(near)}?"
    more = f", and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"{said} The tools are {', '.join(names[:NAMED])}{more}"
