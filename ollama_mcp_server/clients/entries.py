"""An entry in a client's file, as pure functions from text to text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Protocol

from ..errors import InvalidArgument
from . import json_text, toml_text, yaml_text
from .catalogue import Format
from .values import Way, found, merged, without


class Editor(Protocol):
    """What there is for each format; each raises InvalidArgument for a text that is none."""

    def read(self, text: str, source: str) -> Any:
        """Return what a text holds."""

    def put(self, text: str, way: Way, value: Any, source: str) -> str:
        """Return the text with a value at a way."""

    def removed(self, text: str, way: Way, source: str) -> str:
        """Return the text without what stands at a way."""


_EDITORS: Mapping[Format, Editor] = {"JSON": json_text, "TOML": toml_text, "YAML": yaml_text}
#: Names of an entry that is an address, and no command.
ADDRESSES = frozenset(("url", "serverUrl", "httpUrl", "uri"))
_BOM = "\ufeff"


def entries(text: str, form: Format, container: str, source: str) -> dict[str, Any]:
    """Return the entries in a text by their names.

    Raises:
        InvalidArgument: it is not of that format; the line and the column are told.
    """
    listed = found(_EDITORS[form].read(text.removeprefix(_BOM), source), (container,))
    return listed if isinstance(listed, dict) else {}


def added(
    text: str, form: Format, container: str, name: str, entry: Mapping[str, Any], source: str
) -> str:
    """Return the text with an entry; of one that is there, what the new one does not name stays.

    Raises:
        InvalidArgument: it is not of that format, or no entry can be added to it.
    """
    editor, way = _EDITORS[form], (container, name)
    held = entries(text, form, container, source).get(name)
    if isinstance(held, dict) and ADDRESSES & held.keys():
        text = removed(text, form, container, name, source)
    body, unfold = _folded(text)
    after = editor.put(body, way, dict(entry), source)
    wanted = merged(editor.read(body, source), way, dict(entry))
    _check(editor, after, source, wanted)
    return unfold(after)


def removed(text: str, form: Format, container: str, name: str, source: str) -> str:
    """Return the text without an entry; if it was the last, without what held the entries.

    Raises:
        InvalidArgument: it is not of that format, or the entry cannot be cut out of it.
    """
    if name not in entries(text, form, container, source):
        return text
    editor = _EDITORS[form]
    body, unfold = _folded(text)
    after = editor.removed(body, (container, name), source)
    wanted = without(editor.read(body, source), (container, name))
    if wanted[container]:
        _check(editor, after, source, wanted)
    else:
        _check(editor, after, source, wanted, without(wanted, (container,)))
    return unfold(after)


def _folded(text: str) -> tuple[str, Callable[[str], str]]:
    """Return a text as the editors want it, and what makes it what it was."""
    bom = _BOM if text.startswith(_BOM) else ""
    body = text.removeprefix(_BOM)
    lines = body.count("\n")
    if lines and body.count("\r\n") == lines:
        return body.replace("\r\n", "\n"), lambda after: bom + after.replace("\n", "\r\n")
    return body, lambda after: bom + after


def _check(editor: Editor, after: str, source: str, *wanted: Any) -> None:
    """Let pass what changed nothing but the entry; raises InvalidArgument."""
    with suppress(InvalidArgument):
        if editor.read(after, source) in wanted:
            return
    raise InvalidArgument(
        f"{source} is written in a way in which it cannot be changed safely",
        "Change it by hand: docs/install.md shows the entry",
    )
