"""The folders whose files may be used, and the way to a file, which never leaves them.

All of it touches the disk: call it in a thread.
"""

import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal

from ...errors import NotFound, PermissionDenied, TooLarge
from .disk import is_file, kind, open_plain, real
from .globs import is_glob, matching
from .paths import nearest, path_of, printable, shown

#: Most files that one glob may match, and most entries of folders looked at for it.
MAX_MATCHES = 500
MAX_ENTRIES = 100_000
#: Files whose names are looked at for one that comes near a wrong one.
_NEAR = 5000
#: What to do about a path that is not allowed.
ALLOW = "Allow a folder: start the server with --root DIR, or set OLLAMA_MCP_ROOTS"


class Roots:
    """The allowed folders; a path is relative to one of them, or absolute and inside of one."""

    def __init__(self, folders: Sequence[Path]) -> None:
        # as it was written, and where it really is: an absolute path may begin with either
        self._folders = {
            Path(os.path.abspath(folder)): real(folder)  # noqa: PTH100
            for folder in folders
        }

    def find(self, given: str) -> list[Path]:
        """Return the files that a path, a glob (`src/**/*.py`) or a `file://` URI names, sorted.

        A glob matches hidden files only where it names the dot, and follows no link out of the
        folders. The paths are good for `open`, `read` and `name`.

        Raises:
            InvalidArgument: it is no path, or names a folder or a device.
            NotFound: there is no such file; near names are told.
            PermissionDenied: it is outside of the folders, whether it exists there or not.
            TooLarge: the glob matches more than MAX_MATCHES files.
        """
        places = self._places(given)
        left = 0
        for root, parts in places:
            path = root.joinpath(*parts)
            if self._root_of(real(path)) is None:
                left += 1
            elif is_file(path, given):
                return [path]
        if left == len(places):
            raise self._outside(given)
        if not is_glob(given):
            raise self._missing(given, places[0][1])
        found = {path for root, parts in places for path in self._matches(root, parts, given)}
        if not found:
            raise NotFound(
                f"no file matches {shown(given)}",
                "Each {a,b} is a pattern of its own, hidden files need their dot, and ** stands "
                "for folders: src/**/*.py",
            )
        return sorted(found)

    def writable(self, given: str) -> Path:
        """Return the path of a file to write, which may not exist yet; `open` opens it safely.

        Raises:
            InvalidArgument: it is no path, or names a folder or a device.
            NotFound: the folder that it should stand in does not exist.
            PermissionDenied: it is outside of the folders, or a link that leads out.
        """
        places = self._places(given)
        left = 0
        for root, parts in places:
            path = real(root.joinpath(*parts))
            if self._root_of(path) is None:
                left += 1
            elif is_file(path, given) or kind(path.parent) == stat.S_IFDIR:
                return path
        if left == len(places):
            raise self._outside(given)
        raise NotFound(f"the folder of {shown(given)} does not exist", "Make it first")

    def name(self, path: Path) -> str:
        """Return a found path as one line for people and models: relative to its folder, with /."""
        for root in self._folders.values():
            if path.is_relative_to(root):
                return printable(path.relative_to(root).as_posix())
        return printable(path.name)

    def read(self, path: Path, limit: int) -> bytes:
        """Return the content of a found file.

        Raises:
            TooLarge: it has more than `limit` bytes.
            OllamaMCPError: as `open`.
        """
        with self.open(path) as file:
            content = file.read(limit + 1)
        if len(content) > limit:
            raise TooLarge(
                f"{self.name(path)} is larger than the {limit / 2**20:g} MiB that a file may have",
                "Give a part of it",
            )
        return content

    def open(self, path: Path, mode: Literal["rb", "wb", "ab"] = "rb") -> BinaryIO:
        """Open what `find` (mode rb) or `writable` (wb, ab) returned.

        The way there is walked anew from the root, one name at a time and through no link, so
        that nothing put in its place meanwhile leads elsewhere. Nothing but a plain file is
        opened, and none of it blocks.

        Raises:
            InvalidArgument: it is no plain file.
            NotFound: it has gone.
            PermissionDenied: it leads out of the folders by now, or the system refuses.
        """
        inside = real(path)
        root = self._root_of(inside)
        if root is None:
            raise self._outside(self.name(path))
        return open_plain(root, inside.relative_to(root).parts, mode, self.name(path))

    def _places(self, given: str) -> list[tuple[Path, tuple[str, ...]]]:
        """Return where `given` may be: a root and the names below it; not one that exists."""
        text = path_of(given)
        if not self._folders:
            raise PermissionDenied(f"no folder is allowed, so {shown(given)} cannot be used", ALLOW)
        places = []
        for written, folder in self._folders.items():
            # `..` is taken off as text: whatever it would lead to, nothing outside is looked at
            path = Path(os.path.normpath(written / text))
            for base in (written, folder):
                if path.is_relative_to(base):
                    places.append((folder, path.relative_to(base).parts))
                    break
        if not places:
            raise self._outside(given)
        return list(dict.fromkeys(places))

    def _root_of(self, path: Path) -> Path | None:
        """Return the root that a path without links is in, or None."""
        return next((root for root in self._folders.values() if path.is_relative_to(root)), None)

    def _matches(self, root: Path, parts: Sequence[str], given: str) -> list[Path]:
        found = list(islice(matching(root, parts, self._may_follow, MAX_ENTRIES), MAX_MATCHES + 1))
        if len(found) > MAX_MATCHES:
            raise TooLarge(f"{shown(given)} matches more than {MAX_MATCHES} files", "Narrow it")
        return found

    def _may_follow(self, link: str) -> bool:
        return self._root_of(real(link)) is not None

    def _outside(self, given: str) -> PermissionDenied:
        allowed = ", ".join(map(str, self._folders))
        return PermissionDenied(
            f"{shown(given)} is outside of the allowed folders", f"Allowed: {allowed}. {ALLOW}"
        )

    def _missing(self, given: str, parts: Sequence[str]) -> NotFound:
        names: list[str] = []
        with suppress(TooLarge):
            for root in self._folders.values():
                found = matching(root, ["**"], self._may_follow, _NEAR)
                names.extend(map(self.name, islice(found, _NEAR)))
        near = nearest("/".join(parts), names)
        allowed = ", ".join(map(str, self._folders))
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        return NotFound(
            f"there is no file {shown(given)}",
            f"{hint}Paths are relative to {allowed}; * and ** find more",
            nearest=near or None,
        )
