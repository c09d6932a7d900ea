"""Where the statements of a TOML text stand, and the members of its inline tables."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from .values import Way

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:\\.|[^"\\\n])*"|\'[^\'\n]*\''
    r"|#[^\n]*|[\[\]{}=,]|\n|[^\S\n]+|[^\s\"'#\[\]{}=,]+",
    re.DOTALL,
)


@dataclass(frozen=True)
class Statement:
    """A header of a table, or a name and its value."""

    start: int
    end: int
    #: Where the value begins; None for a header.
    value: int | None
    #: The names that lead to it from the outermost table, and those of the table it stands in.
    way: Way
    table: Way


def statements(text: str) -> Iterator[Statement]:
    """Yield the statements of a text that is TOML."""
    table: Way = ()
    start = end = 0
    equals: int | None = None
    depth, is_open = 0, False
    parts = [(one[0], one.start(), one.end()) for one in _TOKEN.finditer(text)]
    for part, first, past in [*parts, ("\n", len(text), len(text))]:
        if part == "\n" and depth == 0:
            if is_open and equals is None:
                table = _way(text[start:end].strip("[]"))
                yield Statement(start, end, None, table, table)
            elif is_open and equals is not None:
                way = table + _way(text[start:equals])
                value = equals + 1 + len(text[equals + 1 :]) - len(text[equals + 1 :].lstrip(" \t"))
                yield Statement(start, end, value, way, table)
            is_open, equals = False, None
        elif part.isspace() or part.startswith("#"):
            continue
        else:
            if not is_open:
                is_open, start = True, first
            if part == "=" and depth == 0 and equals is None:
                equals = first
            depth += (part in "[{") - (part in "]}")
            end = past


def members(text: str, one: Statement) -> list[Statement]:
    """Return the members of an inline table; none of another value."""
    assert one.value is not None  # noqa: S101 - a header has no value
    if text[one.value] != "{":
        return []
    found: list[Statement] = []
    depth, parts = 0, list[re.Match[str]]()
    for part in _TOKEN.finditer(text, one.value + 1, one.end - 1):
        if not part[0].isspace() and not part[0].startswith("#"):
            if part[0] == "," and depth == 0:
                found.append(_member(text, one, parts))
                parts = []
                continue
            depth += (part[0] in "[{") - (part[0] in "]}")
            parts.append(part)
    return [*found, _member(text, one, parts)] if parts else found


def _member(text: str, one: Statement, parts: list[re.Match[str]]) -> Statement:
    number = next(number for number, part in enumerate(parts) if part[0] == "=")
    start, end = parts[0].start(), parts[-1].end()
    way = one.way + _way(text[start : parts[number].start()])
    return Statement(start, end, parts[number + 1].start(), way, one.way)


def _way(key: str) -> Way:
    """Return the names of a dotted key."""
    names: list[str] = []
    data = tomllib.loads(f"{key} = 0")
    while isinstance(data, dict):
        [(name, data)] = data.items()
        names.append(name)
    return tuple(names)
