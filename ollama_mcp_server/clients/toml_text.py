"""Entries put into and taken out of TOML; every other byte stays."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from ..errors import InvalidArgument
from .toml_statements import Statement
from .toml_statements import members as members_of
from .toml_statements import statements as statements_of
from .values import MISSING, Way, found, merged, refuse

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_REMARK = re.compile(r"[ \t]*(?:#[^\r\n]*)?")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WHERE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def read(text: str, source: str) -> Any:
    """Return what a text holds.

    Raises:
        InvalidArgument: it is no TOML; the line and the column are told.
    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        what = str(error)
        place = _WHERE.search(what)
        where = f"{source}:{place[1]}:{place[2]}" if place else source
        what = what[: place.start()] if place else what
        raise InvalidArgument(
            f"{where}: not TOML: {what[:1].lower()}{what[1:]}",
            "Look at that line and the one before it",
        ) from None


def put(text: str, way: Way, value: Any, source: str) -> str:
    """Return the text with a value at a way; in a table that is there, its values are put.

    Raises:
        InvalidArgument: it is no TOML, or something on the way is no table.
    """
    data = read(text, source)
    for depth in range(1, len(way)):
        if (
            not isinstance(found(data, way[:depth]), dict)
            and found(data, way[:depth]) is not MISSING
        ):
            refuse(source, way[:depth])
    statements = list(statements_of(text))
    for one in statements:  # a value that is one already, or stands in an inline table
        if one.value is not None and one.way == way[: len(one.way)]:
            return _put_inline(text, one, way, value, source)
    if isinstance(value, dict):
        if found(data, way) is not MISSING:
            for name, part in value.items():
                text = put(text, (*way, name), part, source)
            return text
        return _with_table(text, statements, way, value)
    beside = [one for one in statements if _holder(one) == way[:-1]]
    if not beside:
        return _with_table(text, statements, way[:-1], {way[-1]: value})
    last = beside[-1]
    at = _line_end(text, last.end)
    line = text.rfind("\n", 0, last.start) + 1
    added = f"\n{text[line : last.start]}{_dotted(way[len(last.table) :])} = {_inline(value)}"
    return text[:at] + added + text[at:]


def removed(text: str, way: Way, source: str) -> str:
    """Return the text without what stands at a way.

    Raises:
        InvalidArgument: it is no TOML.
    """
    read(text, source)
    statements = list(statements_of(text))
    for one in reversed(statements):
        if one.way[: len(way)] == way:
            if one.value is None:
                inside = [other for other in statements if _is_in(other, one, statements)]
                text = _without_lines(text, one.start, inside[-1].end, is_block=True)
            elif one.table[: len(way)] != way:
                text = _without_lines(text, one.start, one.end)
        elif one.value is not None and one.way == way[: len(one.way)]:
            text = _without_member(text, one, way)
    return text


def _put_inline(text: str, one: Statement, way: Way, value: Any, source: str) -> str:
    """Return the text with a value at a way that begins with that of a statement."""
    members = members_of(text, one)
    for member in members:
        if member.way == way[: len(member.way)]:
            return _put_inline(text, member, way, value, source)
    old = found(read(text, source), one.way)
    if one.way != way:
        if not isinstance(old, dict):
            refuse(source, one.way)
        name, rest = way[len(one.way)], way[len(one.way) + 1 :]
        added = f"{_dotted((name,))} = {_inline(merged(MISSING, rest, value))}"
        if members:
            return f"{text[: members[-1].end]}, {added}{text[members[-1].end :]}"
        return f"{text[: one.value]}{{ {added} }}{text[one.end :]}"
    if isinstance(old, dict) and isinstance(value, dict):
        for name, part in value.items():
            text = put(text, (*way, name), part, source)
        return text
    return text if old == value else text[: one.value] + _inline(value) + text[one.end :]


def _without_member(text: str, one: Statement, way: Way) -> str:
    """Return the text without what stands at a way in an inline table."""
    members = members_of(text, one)
    for number, member in enumerate(members):
        if member.way == way:
            if number:
                return text[: members[number - 1].end] + text[member.end :]
            following = members[1].start if len(members) > 1 else member.end
            return text[: member.start] + text[following:]
        if member.way == way[: len(member.way)]:
            return _without_member(text, member, way)
    return text


def _with_table(text: str, statements: list[Statement], way: Way, values: dict[str, Any]) -> str:
    """Return the text with a table more: after what its parent holds, or at the end."""
    block = _block(way, values)
    beside = [one for one in statements if len(way) > 2 and one.way[: len(way) - 1] == way[:-1]]
    if beside:
        at = _line_end(text, beside[-1].end)
        return f"{text[:at]}\n\n{block}{text[at:]}"
    if not text:
        return f"{block}\n"
    # A file that ends without a newline keeps to that.
    return f"{text}\n{block}\n" if text.endswith("\n") else f"{text}\n\n{block}"


def _block(way: Way, values: dict[str, Any]) -> str:
    lines = [f"[{_dotted(way)}]"]
    lines += [
        f"{_dotted((name,))} = {_inline(value)}"
        for name, value in values.items()
        if not isinstance(value, dict)
    ]
    tables = [
        _block((*way, name), value) for name, value in values.items() if isinstance(value, dict)
    ]
    return "\n\n".join(["\n".join(lines), *tables])


def _without_lines(text: str, start: int, end: int, *, is_block: bool = False) -> str:
    """Return the text without the lines from one place to another.

    A block goes with one empty line before it.
    """
    start = text.rfind("\n", 0, start) + 1
    end = _line_end(text, end)
    if is_block and text[:start].endswith("\n\n"):
        start -= 1
    if text[end : end + 2] == "\r\n":
        end += 2
    elif end < len(text):
        end += 1
    elif start:  # the last line of a file that ends without a newline
        start -= 1
    return text[:start] + text[end:]


def _line_end(text: str, at: int) -> int:
    remark = _REMARK.match(text, at)
    return remark.end() if remark else at


def _holder(one: Statement) -> Way:
    """Return the table to which something is added after a statement."""
    return one.way if one.value is None else one.way[:-1]


def _is_in(one: Statement, header: Statement, statements: list[Statement]) -> bool:
    """Return whether a statement is a header, or stands below it and above the next one."""
    after = [other.start for other in statements if other.value is None]
    limit = min((start for start in after if start > header.start), default=sys.maxsize)
    return header.start <= one.start < limit


def _dotted(way: Way) -> str:
    return ".".join(name if _BARE.fullmatch(name) else _string(name) for name in way)


def _inline(value: Any) -> str:
    """Return a value on one line."""
    if isinstance(value, dict):
        held = ", ".join(f"{_dotted((name,))} = {_inline(part)}" for name, part in value.items())
        return f"{{ {held} }}" if held else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    if isinstance(value, bool | int | float):
        return str(value).lower()
    if isinstance(value, str):
        return _string(value)
    return str(value)  # a date or a time, which ISO 8601 writes as TOML does


def _string(value: str) -> str:
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
