"""Globs (`src/**/*.py`), and the files that they match."""

import os
import stat
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path

from ...errors import TooLarge
from .disk import kind

_MARKS = "*?["


def is_glob(given: str) -> bool:
    """Return whether a path may be meant as a glob."""
    return any(character in given for character in _MARKS)


def matching(
    root: Path, parts: Sequence[str], may_follow: Callable[[str], bool], most: int
) -> Iterator[Path]:
    """Yield the plain files below `root` whose way there matches the `parts` of a glob.

    Args:
        root: where it begins.
        parts: of the glob, which are not empty; `**` stands for folders, and follows no link.
        may_follow: says which links may be followed.
        most: entries of folders that are looked at.

    Raises:
        TooLarge: there are more.
    """
    left = most
    pattern = [*parts, "*"] if parts[-1] == "**" else list(parts)
    folders = [(root, {0})]
    while folders:
        folder, states = folders.pop()
        try:
            with os.scandir(folder) as listed:
                found = list(islice(listed, left + 1))
        except OSError:
            continue  # gone meanwhile, or not readable: nothing in it matches
        left -= len(found)
        if left < 0:
            raise TooLarge(
                f"the pattern would look at more than {most:,} files",
                "Name the folder that it is about",
            )
        for entry in found:
            after = _advance(pattern, states, entry.name)
            is_link = entry.is_symlink()
            if not after or (is_link and not may_follow(entry.path)):
                continue
            if is_link:  # `**` follows no link to a folder: it may lead back up
                after -= {at for at in after & states if pattern[at] == "**"}
            found_kind, deeper = kind(entry.path), after - {len(pattern)}
            if found_kind == stat.S_IFREG and len(pattern) in after:
                yield Path(entry.path)
            elif found_kind == stat.S_IFDIR and deeper:
                folders.append((Path(entry.path), deeper))


def _advance(pattern: Sequence[str], states: set[int], name: str) -> set[int]:
    """Return how many parts of `pattern` may be used up below `states` once `name` is passed."""
    after, todo = set(), list(states)
    while todo:
        at = todo.pop()
        part = pattern[at]
        if part == "**":
            todo.append(at + 1)
            if not name.startswith("."):
                after.add(at)
        elif fnmatch(name, part) and (part.startswith(".") or not name.startswith(".")):
            after.add(at + 1)
    return after
