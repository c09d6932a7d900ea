"""The folders whose files may be used, and the way to a file, which never leaves them.

All of it touches the disk: call it in a thread.
"""

import difflib
import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Literal
from urllib.parse import unquote

from ...errors import InvalidArgument, NotFound, OllamaMCPError, PermissionDenied, TooLarge

#: Characters that make a path a pattern.
GLOB = "*?["
#: Most files that one pattern may match, and most entries of folders looked at for it.
MAX_MATCHES = 500
MAX_ENTRIES = 100_000
#: Longest path and longest name in it, in bytes, as Linux has them.
MAX_PATH, MAX_NAME = 4096, 255
#: Files whose names are looked at for one that comes near a wrong one.
_NEAR = 5000
#: What to do about a path that is not allowed.
ALLOW = "Allow a folder: start the server with --root DIR, or set OLLAMA_MCP_ROOTS"

# What not every system has is 0, and does nothing.
_FLAGS = {
    name: getattr(os, name, 0)
    for name in ("O_BINARY", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH")
}
#: A link that took the place of what was found is refused, and a FIFO does not block.
_OPEN = _FLAGS["O_BINARY"] | _FLAGS["O_CLOEXEC"] | _FLAGS["O_NOFOLLOW"] | _FLAGS["O_NONBLOCK"]
_PASS = _FLAGS["O_PATH"] | _FLAGS["O_CLOEXEC"] | _FLAGS["O_NOFOLLOW"] | _FLAGS["O_DIRECTORY"]
_MODES = {"rb": os.O_RDONLY, "wb": os.O_WRONLY | os.O_CREAT, "ab": os.O_WRONLY | os.O_CREAT}
#: Characters that would let a name write lines, or other names, into a prompt or a terminal.
_UNPRINTABLE = re.compile("[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


class Roots:
    """The allowed folders; a path is relative to one of them, or absolute and inside of one."""

    def __init__(self, folders: Sequence[Path]) -> None:
        # as it was written, and where it really is: an absolute path may begin with either
        self._folders = {
            Path(os.path.abspath(folder)): _real(folder)  # noqa: PTH100
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
            if self._root_of(_real(path)) is None:
                left += 1
            elif _is_file(path, given):
                return [path]
        if left == len(places):
            raise self._outside(given)
        if not any(character in given for character in GLOB):
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
            path = _real(root.joinpath(*parts))
            if self._root_of(path) is None:
                left += 1
            elif _is_file(path, given) or _kind(path.parent) == stat.S_IFDIR:
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
        real = _real(path)
        root = self._root_of(real)
        if root is None:
            raise self._outside(self.name(path))
        try:
            descriptor = _walk_open(root, real.relative_to(root).parts, _MODES[mode] | _OPEN)
        except OSError as error:
            raise _refused(error, self.name(path)) from error
        file = os.fdopen(descriptor, mode)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            file.close()
            raise _special(self.name(path))
        if mode == "wb":
            file.truncate()
        return file

    def _places(self, given: str) -> list[tuple[Path, tuple[str, ...]]]:
        """Return where `given` may be: a root and the names below it; not one that exists."""
        text = _path_of(given)
        if not self._folders:
            raise PermissionDenied(f"no folder is allowed, so {shown(given)} cannot be used", ALLOW)
        places = []
        for written, real in self._folders.items():
            # `..` is taken off as text: whatever it would lead to, nothing outside is looked at
            path = Path(os.path.normpath(written / text))
            for base in (written, real):
                if path.is_relative_to(base):
                    places.append((real, path.relative_to(base).parts))
                    break
        if not places:
            raise self._outside(given)
        return list(dict.fromkeys(places))

    def _root_of(self, real: Path) -> Path | None:
        """Return the root that a path without links is in, or None."""
        return next((root for root in self._folders.values() if real.is_relative_to(root)), None)

    def _matches(self, root: Path, parts: Sequence[str], given: str) -> list[Path]:
        found = list(islice(self._walk(root, parts, MAX_ENTRIES), MAX_MATCHES + 1))
        if len(found) > MAX_MATCHES:
            raise TooLarge(f"{shown(given)} matches more than {MAX_MATCHES} files", "Narrow it")
        return found

    def _walk(self, root: Path, parts: Sequence[str], entries: int) -> Iterator[Path]:
        """Yield the files below `root` that match; raises TooLarge after so many entries."""
        pattern = [*parts, "*"] if parts[-1] == "**" else list(parts)
        folders = [(root, {0})]
        while folders:
            folder, states = folders.pop()
            try:
                with os.scandir(folder) as listed:
                    found = list(islice(listed, entries + 1))
            except OSError:
                continue  # gone meanwhile, or not readable: nothing in it matches
            entries -= len(found)
            if entries < 0:
                raise TooLarge(
                    f"the pattern would look at more than {MAX_ENTRIES:,} files",
                    "Name the folder that it is about",
                )
            for entry in found:
                after = _advance(pattern, states, entry.name)
                is_link = entry.is_symlink()
                if not after or (is_link and self._root_of(_real(entry.path)) is None):
                    continue
                if is_link:  # `**` follows no link to a folder: it may lead back up
                    after -= {at for at in after & states if pattern[at] == "**"}
                kind, deeper = _kind(entry.path), after - {len(pattern)}
                if kind == stat.S_IFREG and len(pattern) in after:
                    yield Path(entry.path)
                elif kind == stat.S_IFDIR and deeper:
                    folders.append((Path(entry.path), deeper))

    def _outside(self, given: str) -> PermissionDenied:
        allowed = ", ".join(map(str, self._folders))
        return PermissionDenied(
            f"{shown(given)} is outside of the allowed folders", f"Allowed: {allowed}. {ALLOW}"
        )

    def _missing(self, given: str, parts: Sequence[str]) -> NotFound:
        names: list[str] = []
        with suppress(TooLarge):
            for root in self._folders.values():
                names.extend(map(self.name, islice(self._walk(root, ["**"], _NEAR), _NEAR)))
        near = nearest("/".join(parts), names)
        allowed = ", ".join(map(str, self._folders))
        hint = f"Did you mean {' or '.join(near)}? " if near else ""
        return NotFound(
            f"there is no file {shown(given)}",
            f"{hint}Paths are relative to {allowed}; * and ** find more",
            nearest=near or None,
        )


def nearest(wanted: str, names: Sequence[str], count: int = 3) -> list[str]:
    """Return up to `count` of the paths `names` that come near `wanted`, the nearest first."""
    base = wanted.rpartition("/")[2]
    same = [name for name in names if name.rpartition("/")[2] == base]
    close = difflib.get_close_matches(wanted, names, count, 0.7)
    bases = {name.rpartition("/")[2]: name for name in reversed(names)}
    close += [bases[found] for found in difflib.get_close_matches(base, bases, count, 0.7)]
    return list(dict.fromkeys([*same, *close]))[:count]


def printable(text: str) -> str:
    """Return a text as one line, with what would break or turn it replaced."""
    return _UNPRINTABLE.sub("\ufffd", text)


def shown(given: str) -> str:
    """Return a given path as an error shows it: on one line, and not all of a long one."""
    line = printable(given)
    return line if len(line) <= 100 else f"{line[:60]}…{line[-30:]}"


def _path_of(given: str) -> str:
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


def _real(path: str | Path) -> Path:
    """Return a path with its links followed, whether it exists or not."""
    try:
        return Path(os.path.realpath(path))
    except OSError:  # a link was taken away while it was followed
        return Path()  # which is in no root


def _kind(path: str | Path) -> int:
    """Return the type of what a path leads to (`stat.S_IFREG` …), 0 if to nothing."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return 0


def _is_file(path: Path, given: str) -> bool:
    """Return whether there is a plain file; raises InvalidArgument for a folder or a device."""
    kind = _kind(path)
    if kind == stat.S_IFDIR or (not kind and given.endswith(("/", os.sep))):
        pattern = f"{given.rstrip('/')}/**/*".removeprefix("./")
        raise InvalidArgument(
            f"{shown(given)} is a folder", f"Name a file, or all in it: {shown(pattern)}"
        )
    if kind not in (0, stat.S_IFREG):
        raise _special(shown(given))
    return bool(kind)


def _walk_open(root: Path, parts: Sequence[str], flags: int) -> int:
    """Open the file at `parts` below `root` through no link; raises OSError."""
    if os.open not in os.supports_dir_fd:  # Windows: a last look has to do
        path = root.joinpath(*parts)
        descriptor = os.open(path, flags, 0o666)
        if Path(os.path.realpath(path)) != path:
            os.close(descriptor)
            raise OSError(errno.ELOOP, "a link has taken its place")
        return descriptor
    folder = os.open(root, _PASS)
    try:
        for part in parts[:-1]:
            below = os.open(part, _PASS, dir_fd=folder)
            os.close(folder)
            folder = below
        return os.open(parts[-1] if parts else ".", flags, 0o666, dir_fd=folder)
    finally:
        os.close(folder)


def _special(name: str) -> InvalidArgument:
    return InvalidArgument(f"{name} is no plain file (a device, a pipe or a socket)", "Give a file")


def _refused(error: OSError, name: str) -> OllamaMCPError:
    if error.errno == errno.ENOENT:
        return NotFound(f"{name} is not there any more", "Look again")
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return PermissionDenied(f"{name} was replaced while it was looked for", "Call again")
    if error.errno in (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP):
        return _special(name)
    return PermissionDenied(
        f"{name} cannot be opened: {os.strerror(error.errno or 0)}",
        "Check its permissions, and as which user the server runs",
    )
