"""What a tool gave back, as the model is told it: text within bounds, and pictures if it sees."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ...delegation.inputs.kinds import READ, kind_of

if TYPE_CHECKING:
    from mcp_types import CallToolResult

#: Most pictures of one result that a model is shown, and most bytes of one.
MAX_IMAGES = 4
MAX_IMAGE_BYTES = 5 * 2**20
#: Most parts of structured content that are looked for in the text.
_MOST_VALUES = 2000

#: Sequences that colour a terminal; then characters that are not seen, or turn text around.
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]{0,2000}(?:\x07|\x1b\\)|[@-Z\\^_])")
_UNSEEN = re.compile(
    "[\0-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e01ef]"
)


@dataclass(frozen=True)
class Told:
    """A result for the model."""

    text: str
    #: In base64, as Ollama takes them.
    images: list[str] = field(default_factory=list)
    failed: bool = False
    #: What the model was not told, for people.
    notes: list[str] = field(default_factory=list)


def told(result: CallToolResult, *, limit: int, sees: bool) -> Told:
    """Return what a result says; odd content is named, and never raises.

    Text comes first, then structured content that the text does not tell, each picture, sound and
    file as a note where the model cannot be given it.

    Args:
        result: what the tool gave back.
        limit: most characters of text; what is cut is taken from the middle, and said.
        sees: whether the model is shown pictures.
    """
    pictures = _Pictures(sees)
    blocks = _get(result, "content")
    pieces = [
        _piece(block, pictures) for block in (blocks if isinstance(blocks, list | tuple) else [])
    ]
    text = "\n\n".join(clean(piece) for piece in pieces if piece.strip())
    structured = _get(result, "structured_content")
    # of a text that is cut already, no more needs to be known
    if structured is not None and len(text) <= limit and not _tells(text, structured):
        text = "\n\n".join(part for part in (text, clean(_json(structured))) if part)
    text, notes = text or "[the tool answered nothing]", pictures.notes
    if len(text) > limit:
        text, note = _cut(text, limit)
        notes.append(note)
    return Told(
        text,
        pictures.shown,
        failed=_get(result, "is_error") is True,
        notes=notes,
    )


def clean(text: str) -> str:
    """Return a text without what is not seen: control characters, colours, marks of direction."""
    text = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return _UNSEEN.sub("", text)


class _Pictures:
    """The pictures of a result: those that are shown, and notes on those that are not."""

    def __init__(self, sees: bool) -> None:
        self._sees = sees
        self.shown: list[str] = []
        self.notes: list[str] = []

    def take(self, data: str, mime: str) -> str:
        """Keep a picture if it can be shown; return what the text says of it."""
        data = "".join(data.rpartition("base64,")[2].split())
        what = f"an image ({mime}, {_size(data)})"
        if not self._sees:
            return self.note(f"{what} was returned; this model cannot see images")
        if len(self.shown) >= MAX_IMAGES:
            return self.note(f"{what} was returned, and left out: {MAX_IMAGES} are shown at most")
        if len(data) > MAX_IMAGE_BYTES * 4 / 3 + 4:
            return self.note(f"{what} was returned, and left out: it is too large")
        try:
            content = base64.b64decode(data, validate=True)
        except (ValueError, binascii.Error):
            content = b""
        if kind_of(content) not in READ:
            return self.note(f"{what} was returned, and left out: Ollama does not read it")
        self.shown.append(data)
        return f"[{what} is shown]"

    def note(self, text: str) -> str:
        """Keep a note; return it as the text says it."""
        self.notes.append(text)
        return f"[{text}]"


def _piece(block: Any, pictures: _Pictures) -> str:
    """Return what the text says of a block of content."""
    kind = _get(block, "type")
    mime = _line(_get(block, "mime_type")) or "unknown type"
    if kind == "text":
        return _text(_get(block, "text"))
    if kind == "image":
        return pictures.take(_text(_get(block, "data")), mime)
    if kind == "audio":
        size = _size(_text(_get(block, "data")))
        return pictures.note(f"audio ({mime}, {size}) was returned; this model cannot hear")
    if kind == "resource_link":
        return _link(block)
    if kind == "resource":
        return _resource(_get(block, "resource"), pictures)
    return pictures.note(f"content of an unknown kind ({_line(kind) or 'none'}) was returned")


def _link(block: Any) -> str:
    uri, mime = _line(_get(block, "uri")), _line(_get(block, "mime_type"))
    about = ", ".join(part for part in (uri, mime, _line(_get(block, "description"))) if part)
    return f"{_line(_get(block, 'name')) or 'a resource'} ({about})"


def _resource(resource: Any, pictures: _Pictures) -> str:
    text, blob = _get(resource, "text"), _get(resource, "blob")
    if isinstance(text, str):
        return text
    mime = _line(_get(resource, "mime_type")) or "unknown type"
    if mime.startswith("image/") and isinstance(blob, str):
        return pictures.take(blob, mime)
    name = _line(_get(resource, "uri")) or "a file"
    return pictures.note(f"{name} ({mime}, {_size(_text(blob))}) was returned; it is no text")


def _tells(text: str, structured: Any) -> bool:
    """Return whether a text says all that structured content does."""
    if not text:
        return False
    try:
        # FastMCP puts what is no object into one
        if json.loads(text) in (structured, _get(structured, "result")):
            return True
    except (ValueError, RecursionError):
        pass
    return all(value in text for value in _values(structured))


def _values(data: Any) -> Iterator[str]:
    """Yield the values in structured content as texts, as far as they are looked at."""
    todo, count = [data], 0
    while todo and count <= _MOST_VALUES:
        one = todo.pop()
        count += 1
        if isinstance(one, dict):
            todo += one.values()
        elif isinstance(one, list):
            todo += one
        else:
            yield clean(one).strip() if isinstance(one, str) else _json(one)
    if todo:
        yield "\0"  # which no text holds by now: what was not looked at is not told


def _cut(text: str, limit: int) -> tuple[str, str]:
    """Return a text of at most `limit` characters, cut in the middle, and what was cut."""
    room = max(0, limit - len(f"[cut: {len(text):,} of {len(text):,} characters]") - 4)
    left = len(text) - room
    said = f"cut: {left:,} of {len(text):,} characters"
    head, tail = room - room // 4, room // 4
    cut = f"{text[:head]}\n\n[{said}]\n\n{text[len(text) - tail :]}"
    return cut[: max(0, limit)], said


def _get(thing: Any, name: str) -> Any:
    return thing.get(name) if isinstance(thing, dict) else getattr(thing, name, None)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _line(value: Any) -> str:
    """Return a short text on one line; nothing for what is no text."""
    return " ".join(clean(_text(value)).split())[:300]


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        return "[structured content that is no JSON was returned]"


def _size(data: str) -> str:
    """Return how large base64 is once it is undone."""
    size = len(data) * 3 // 4 - data[-2:].count("=")
    return f"{max(size, 0) / 1000:.0f} kB" if size >= 1000 else f"{max(size, 0)} bytes"
