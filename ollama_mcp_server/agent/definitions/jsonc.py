"""JSON as people write it: with comments, a comma too many, and a place for each value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from ...errors import InvalidArgument

#: Where a value stands in the data: the names and numbers that lead to it.
Way: TypeAlias = "tuple[str | int, ...]"

_STRING = r'"(?:[^"\\\n]|\\.)*"?'
_COMMENT = re.compile(rf"{_STRING}|//[^\n]*|/\*.*?(?:\*/|\Z)", re.DOTALL)
_COMMA = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)
_TOKEN = re.compile(rf"{_STRING}|[{{}}\[\]:,]|[^\s{{}}\[\]:,\"]+", re.DOTALL)


@dataclass(frozen=True)
class Document:
    """A JSON text: its data, and where in the text each value stands."""

    text: str
    source: str
    data: Any
    offsets: dict[Way, int]

    def place(self, way: Way) -> str:
        """Return `SOURCE:LINE:COLUMN` of a value, or of what it would stand in."""
        while way not in self.offsets:
            way = way[:-1]
        return _place(self.text, self.source, self.offsets[way])


def read_document(text: str, source: str) -> Document:
    """Return what a JSON text holds; comments and commas before a closing bracket are passed over.

    Raises:
        InvalidArgument: it is no JSON, or a name stands twice in one object; where, is told.
    """
    # Blanks in place of what is left out keep every place as it was.
    plain = _COMMA.sub(_blank, _COMMENT.sub(_blank, text.removeprefix("\ufeff")))
    try:
        data = json.loads(plain)
    except json.JSONDecodeError as error:
        what = re.sub(" (starting )?at$", "", error.msg)
        raise InvalidArgument(
            f"{_place(plain, source, error.pos)}: not JSON: {what[:1].lower()}{what[1:]}",
            "Look at that line and the one before it: a comma, a quote or a bracket",
        ) from None
    except (ValueError, RecursionError):
        raise InvalidArgument(
            f"{source}: a number in it is too long, or it is nested too deeply", "Make it simpler"
        ) from None
    offsets: dict[Way, int] = {}
    for way, offset in _values(plain):
        if way in offsets:
            raise InvalidArgument(
                f"{_place(plain, source, offset)}: {str(way[-1])[:64]!r} stands here a second time",
                "Keep one of the two",
            )
        offsets[way] = offset
    return Document(plain, source, data, offsets)


def _values(text: str) -> Iterator[tuple[Way, int]]:
    """Yield where each value of a JSON text stands; a member of an object where its name does."""
    way: list[Any] = []  # one part for each open bracket; None until an object's name is read
    for token in _TOKEN.finditer(text):
        match token[0]:
            case "}" | "]":
                way.pop()
            case ",":
                way[-1] = way[-1] + 1 if isinstance(way[-1], int) else None
            case ":":
                pass
            case name if way and way[-1] is None:
                way[-1] = json.loads(name)
                yield tuple(way), token.start()
            case value:
                if not way or isinstance(way[-1], int):
                    yield tuple(way), token.start()
                if value in "{[":
                    way.append(None if value == "{" else 0)


def _blank(found: re.Match[str]) -> str:
    text = found[0]
    return text if text.startswith('"') else re.sub(r"[^\n]", " ", text)


def _place(text: str, source: str, offset: int) -> str:
    line = text.count("\n", 0, offset) + 1
    return f"{source}:{line}:{offset - text.rfind(chr(10), 0, offset)}"
