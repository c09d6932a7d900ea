"""Paths in the arguments of a tool, and the folders that none of them leaves.

A tool's own path may be called anything, and be spelt in many ways; so every text is looked at
in each way that a server may read it, but for parameters whose name says that they hold prose.
It looks at the disk, for links, and at nothing but names.
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...delegation.inputs.paths import MAX_PATH, shown
from ...errors import PermissionDenied
from .spellings import Kind, kind_of, paths, readings

#: Most characters of what is called a path; more is refused.
_MOST = 65_536


def check_arguments(
    arguments: dict[str, Any], schema: dict[str, Any], allowed: Sequence[Path], cwd: Path | None
) -> None:
    """Raise for an argument that names something outside of the folders.

    Absolute paths, `~`, `file:` URIs and ways up are followed, in the spellings that servers undo
    (percent signs, backslashes, lists in one text), and links where they exist. A parameter that
    is called or declared a path is looked at more strictly; one that is called `content`, `text`,
    `code` … is prose, and passed over.

    Args:
        arguments: what a tool is to be called with.
        schema: of its arguments.
        allowed: the folders; with none, every absolute path is refused.
        cwd: the folder that the server works in, if it is known.

    Raises:
        PermissionDenied: one is outside, or cannot be told to be inside.
    """
    folders = _Folders(allowed, cwd)
    todo: deque[tuple[str, Any, Any, Kind]] = deque([("", arguments, schema, "any")])
    while todo:
        label, value, declared, kind = todo.popleft()
        declared = declared if isinstance(declared, dict) else {}
        if isinstance(value, dict):
            properties = declared.get("properties")
            properties = properties if isinstance(properties, dict) else {}
            for name, held in value.items():
                way = f"{label}.{name}" if label else str(name)
                if name not in properties:
                    folders.check(way, str(name), "any")
                below = properties.get(name, declared.get("additionalProperties"))
                todo.append((way, held, below, kind_of(str(name), below)))
        elif isinstance(value, list):
            below = declared.get("items")
            todo += [(f"{label}[{at}]", held, below, kind) for at, held in enumerate(value)]
        elif isinstance(value, str) and kind != "prose":
            folders.check(label, value, kind)
            if value.lstrip()[:1] in ("{", "["):
                try:
                    held = json.loads(value)
                except (ValueError, RecursionError):
                    continue
                todo.append((label, held, None, kind))


class _Folders:
    """The folders that paths may lead to, and those that they are relative to."""

    def __init__(self, allowed: Sequence[Path], cwd: Path | None) -> None:
        self._real = [os.path.realpath(folder) for folder in allowed]
        # as they are written too: a path may begin with either
        self._written = [os.path.abspath(folder) for folder in allowed]  # noqa: PTH100
        self._cwd = cwd
        self._bases = list(dict.fromkeys(([str(cwd)] if cwd else []) + self._written))

    def check(self, label: str, text: str, kind: Kind) -> None:
        """Raise PermissionDenied if a way to read a text leads outside."""
        is_path = kind == "path"
        if "\0" in text or (is_path and len(text) > _MOST):
            raise self._denied(label, text)
        for reading in readings(text, kind):
            for path in paths(reading, is_path=is_path):
                if path is None or "\0" in path or self._leaves(path, is_path=is_path):
                    raise self._denied(label, text)

    def _leaves(self, path: str, *, is_path: bool) -> bool:
        normal = os.path.normpath(path)
        # `/etc/<a line>/../passwd` is one too, so it is looked at once it is normal
        if not is_path and ("\n" in normal or len(normal) > MAX_PATH):
            return False
        if os.path.isabs(path):  # noqa: PTH117 - a Path drops what is looked for
            normal = re.sub(r"^//+", "/", normal)
            first = re.match(r"/[^/]*", normal)
            is_prose = re.search(r"\s", normal) and first and not os.path.lexists(first[0])
            return not (self._holds(normal, path) or (is_prose and not is_path))
        if normal == ".." or normal.startswith(f"..{os.sep}"):
            if self._cwd is None:
                return True
            path = os.path.join(self._cwd, path)  # noqa: PTH118 - which keeps the ways up
            return not self._holds(os.path.normpath(path), path)
        for base in self._bases:
            real = os.path.realpath(os.path.join(base, path))  # noqa: PTH118 - as above
            if not (_is_in(real, os.path.realpath(base)) or self._is_allowed(real)):
                return True  # through a link
        return False

    def _holds(self, normal: str, path: str) -> bool:
        """Return whether a path is inside both as it is written and with its links followed."""
        if normal == os.devnull:
            return True
        is_written = any(_is_in(normal, folder) for folder in (*self._written, *self._real))
        return is_written and self._is_allowed(os.path.realpath(path))

    def _is_allowed(self, real: str) -> bool:
        return any(_is_in(real, folder) for folder in self._real)

    def _denied(self, label: str, text: str) -> PermissionDenied:
        allowed = ", ".join(self._written)
        return PermissionDenied(
            f"Access denied: {shown(label)} is {shown(text)}, which is outside of the allowed "
            "folders",
            f"Use paths in {allowed}"
            if allowed
            else "No folder is allowed: give the one to work on in `path`, or start the server "
            "with --root DIR",
        )


def _is_in(path: str, folder: str) -> bool:
    return Path(path).is_relative_to(folder)
