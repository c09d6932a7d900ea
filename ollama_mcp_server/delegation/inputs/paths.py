"""Paths as callers give them, and as errors, prompts and terminals show them."""

import difflib
import os
import re
from collections.abc import Sequence
from urllib.parse import unquote

from ...errors import InvalidArgument

#: Longest path and longest name in it, in bytes, as Linux has them.
MAX_PATH, MAX_NAME = 4096, 255
#: Characters that would let a name write lines, or other names, into a prompt or a terminal.
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def path_of(given: str) -> str:
    """Return the path that `given` is, a `file://` URI undone; raises InvalidArgument."""
    text = given
    if text[:5].lower() == "file:":
        host, slash, rest = text[5:].removeprefix("//").partition("/")
        if not slash or host.lower() not in ("", "localhost"):
            raise InvalidArgument(
                f"{shown(given)} names no file of this machine", "file:///a/b.txt"
            )
        text = unquote(rest if os.name == "nt" and rest[1:2] == ":" else f"/{rest}")
    elif re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        raise InvalidArgument(f"{shown(given)} is a URL, not a path", "Give the path of a file")
    if not text.strip() or "\0" in text:
        raise InvalidArgument("a path is empty, or holds a NUL character", "Give a file's path")
    if text == "~" or text.startswith(("~/", "~\\")):
        raise InvalidArgument(
            f"{shown(given)}: ~ is not expanded", "Give a path relative to an allowed folder"
        )
    if os.name != "nt" and re.match(r"[A-Za-z]:[\\/]", text):
        raise InvalidArgument(
            f"{shown(given)} is a path of Windows, which this server does not run on",
            "Give a path relative to an allowed folder, with /",
        )
    try:
        parts = [len(os.fsencode(part)) for part in re.split(r"[\\/]", text)]
    except UnicodeEncodeError:
        raise InvalidArgument(f"{shown(given)} is not valid Unicode", "Send plain UTF-8") from None
    if max(parts) > MAX_NAME or sum(parts) + len(parts) > MAX_PATH:
        raise InvalidArgument(f"{shown(given)} is too long for a path", "Give a file's path")
    return text


def printable(text: str) -> str:
    """Return a text as one line, with what would break or turn it replaced."""
    return _UNPRINTABLE.sub("\ufffd", text)


def shown(given: str) -> str:
    """Return a given path as an error shows it: on one line, and not all of a long one."""
    line = printable(given)
    return line if len(line) <= 100 else f"{line[:60]}…{line[-30:]}"


def nearest(wanted: str, names: Sequence[str], count: int = 3) -> list[str]:
    """Return up to `count` of the paths `names` that come near `wanted`, the nearest first."""
    base = wanted.rpartition("/")[2]
    same = [name for name in names if name.rpartition("/")[2] == base]
    close = difflib.get_close_matches(wanted, names, count, 0.7)
    bases = {name.rpartition("/")[2]: name for name in reversed(names)}
    close += [bases[found] for found in difflib.get_close_matches(base, bases, count, 0.7)]
    return list(dict.fromkeys([*same, *close]))[:count]
