"""Entries put into and taken out of JSON as people write it; every other byte stays."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from typing import Any

from ..agent.definitions.jsonc import Document, read_document
from ..errors import InvalidArgument
from .values import MISSING, Way, found, refuse

#: A comment, or a comma, between two values.
_BETWEEN = re.compile(r"//[^\r\n]*|/\*.*?\*/|,", re.DOTALL)
#: Comments that end on the line on which they begin.
_REMARKS = re.compile(r"(?:[ \t]*(?://[^\r\n]*|/\*(?:(?!\*/)[^\r\n])*\*/))*")
_BLANKS = re.compile(r"[ \t]*")
_COLON = re.compile(r"\s*:\s*")
_DECODER = json.JSONDecoder()


def read(text: str, source: str) -> Any:
    """Return what a text holds; one without any value holds an empty object.

    Raises:
        InvalidArgument: it is no JSON; the line and the column are told.
    """
    return _document(text, source).data


def put(text: str, way: Way, value: Any, source: str) -> str:
    """Return the text with a value at a way; in an object that is there, its members are put.

    Raises:
        InvalidArgument: it is no JSON, or something on the way is no object.
    """
    document = _document(text, source)
    if len(document.text) != len(text):  # there was no object
        text += "{}\n" if not text or text.endswith("\n") else "\n{}\n"
        document = read_document(text, source)
    old = found(document.data, way)
    if old is not MISSING:
        if isinstance(old, dict) and isinstance(value, dict):
            for name, part in value.items():
                text = put(text, (*way, name), part, source)
            return text
        if old == value:
            return text
        start, end = _span(document, way)
        layout = _Layout(document, way[:-1])
        return text[:start] + layout.rendered(value) + text[end:]
    parent, name = way[:-1], way[-1]
    within = found(document.data, parent)
    if within is MISSING:
        return put(text, parent, {name: value}, source)
    if not isinstance(within, dict):
        refuse(document.place(parent), parent)
    return _inserted(text, document, parent, name, value)


def removed(text: str, way: Way, source: str) -> str:
    """Return the text without the member at a way, and without what that leaves empty.

    Raises:
        InvalidArgument: it is no JSON.
    """
    document = read_document(text, source)
    siblings = list(found(document.data, way[:-1]))
    start, end = document.offsets[way], _span(document, way)[1]
    begin, close = _span(document, way[:-1])
    before = siblings[: siblings.index(way[-1])]
    after = siblings[len(before) + 1 :]
    limit = document.offsets[(*way[:-1], after[0])] if after else close - 1
    last = _span(document, (*way[:-1], before[-1]))[1] if before else begin + 1
    cuts = []
    if (comma := _comma(text, end, limit)) is not None:
        if text[end:comma].strip():  # a comment stands before it
            cuts.append((comma, comma + 1))
        else:
            end = comma + 1
    elif before and (theirs := _comma(text, last, start)) is not None:
        cuts.append((theirs, theirs + 1))
    line = text.rfind("\n", 0, start) + 1
    is_first_on_line = line > begin and not text[line:start].strip()
    is_last_on_line = text[_blanks_end(text, _remarks_end(text, end)) :][:1] in ("", "\r", "\n")
    is_below_remark = any(
        one[0].startswith("//") and not text[one.end() : line].strip()
        for one in _BETWEEN.finditer(text, last, start)
    )
    if is_first_on_line and (is_last_on_line or not (after or is_below_remark)):
        start = line - (2 if text[line - 2 : line] == "\r\n" else 1)
    elif after:  # what follows moves to its place
        end = _blanks_end(text, end)
    else:
        start = len(text[:start].rstrip(" \t"))
    for first, past in sorted([*cuts, (start, end)], reverse=True):
        text = text[:first] + text[past:]
    return _tidied(text, way[:-1], source)


def _tidied(text: str, way: Way, source: str) -> str:
    """Return the text without an object that has become empty; the outermost one stays."""
    document = read_document(text, source)
    start, end = _span(document, way)
    if text[start + 1 : end - 1].strip():
        return text
    if way:
        return removed(text, way, source)
    return f"{text[:start]}{{}}{text[end:]}"


def _inserted(text: str, document: Document, way: Way, name: str, value: Any) -> str:
    """Return the text with a member more at the end of an object."""
    start, end = _span(document, way)
    layout = _Layout(document, way)
    members = list(found(document.data, way))
    inner = text[start + 1 : end - 1]
    if not members and not inner.strip():
        member = layout.member(name, value)
        return f"{text[: start + 1]}\n{layout.inner}{member}\n{layout.outer}{text[end - 1 :]}"
    is_one_line = "\n" not in inner
    member = f"{json.dumps(name, ensure_ascii=False)}: {json.dumps(value, ensure_ascii=False)}"
    member = f" {member}" if is_one_line else f"\n{layout.inner}{layout.member(name, value)}"
    if not members:  # only comments
        at = start + 1 + len(inner.rstrip())
        return text[:at] + member + text[at:]
    last = _span(document, (*way, members[-1]))[1]
    comma = _comma(text, last, end - 1)
    if comma is not None:
        at = _remarks_end(text, comma + 1)
        return f"{text[:at]}{member},{text[at:]}"
    at = _remarks_end(text, last)
    return f"{text[:last]},{text[last:at]}{member}{text[at:]}"


class _Layout:
    """How the members of an object are indented."""

    def __init__(self, document: Document, way: Way) -> None:
        text = document.text
        self.unit = _indent(document, ()) or "  "
        start = document.offsets[way]
        line = text.rfind("\n", 0, start) + 1
        self.outer = text[line : _blanks_end(text, line)]
        self.inner = _indent(document, way) or self.outer + self.unit

    def member(self, name: str, value: Any) -> str:
        """Return a member of the object."""
        return f"{json.dumps(name, ensure_ascii=False)}: {self.rendered(value)}"

    def rendered(self, value: Any, indent: str | None = None) -> str:
        """Return a value: objects over several lines, all else on one."""
        if not isinstance(value, dict) or not value:
            return json.dumps(value, ensure_ascii=False)
        outer = self.inner if indent is None else indent
        inner = outer + self.unit
        members = (
            f"\n{inner}{json.dumps(name, ensure_ascii=False)}: {self.rendered(part, inner)}"
            for name, part in value.items()
        )
        return f"{{{','.join(members)}\n{outer}}}"


def _indent(document: Document, way: Way) -> str:
    """Return the indentation of an object's members that begin a line, "" if none does."""
    for name in found(document.data, way):
        at = document.offsets[(*way, name)]
        line = document.text.rfind("\n", 0, at) + 1
        if line and not document.text[line:at].strip():
            return document.text[line:at]
    return ""


def _span(document: Document, way: Way) -> tuple[int, int]:
    """Return where a value begins and ends."""
    at = document.offsets[way]
    if way:
        _, at = _DECODER.raw_decode(document.text, at)
        colon = _COLON.match(document.text, at)
        at = colon.end() if colon else at
    return at, _DECODER.raw_decode(document.text, at)[1]


def _comma(text: str, start: int, end: int) -> int | None:
    """Return where a comma stands between two places, outside of comments."""
    return next((one.start() for one in _BETWEEN.finditer(text, start, end) if one[0] == ","), None)


def _remarks_end(text: str, at: int) -> int:
    remarks = _REMARKS.match(text, at)
    return remarks.end() if remarks else at


def _blanks_end(text: str, at: int) -> int:
    blanks = _BLANKS.match(text, at)
    return blanks.end() if blanks else at


def _document(text: str, source: str) -> Document:
    """Return a text as a document; one with nothing but comments is an empty object's."""
    try:
        return read_document(text, source)
    except InvalidArgument:
        with suppress(InvalidArgument):
            if (empty := read_document(f"{text}\n{{}}", source)).data == {}:
                return empty
        raise
