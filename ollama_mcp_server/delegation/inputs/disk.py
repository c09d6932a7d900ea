"""Plain files on the disk: whether there is one, and the way to it through no link."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

from ...errors import InvalidArgument, NotFound, OllamaMCPError, PermissionDenied
from .paths import shown

# What not every system has is 0, and does nothing.
_FLAGS = {
    name: getattr(os, name, 0)
    for name in ("O_BINARY", "O_CLOEXEC", "O_DIRECTORY", "O_NOFOLLOW", "O_NONBLOCK", "O_PATH")
}
#: A link that took the place of what was found is refused, and a FIFO does not block.
_OPEN = _FLAGS["O_BINARY"] | _FLAGS["O_CLOEXEC"] | _FLAGS["O_NOFOLLOW"] | _FLAGS["O_NONBLOCK"]
_PASS = _FLAGS["O_PATH"] | _FLAGS["O_CLOEXEC"] | _FLAGS["O_NOFOLLOW"] | _FLAGS["O_DIRECTORY"]
_MODES = {"rb": os.O_RDONLY, "wb": os.O_WRONLY | os.O_CREAT, "ab": os.O_WRONLY | os.O_CREAT}


def real(path: str | Path) -> Path:
    """Return a path with its links followed, whether it exists or not."""
    try:
        return Path(os.path.realpath(path))
    except OSError:  # a link was taken away while it was followed
        return Path()  # which is in no root


def kind(path: str | Path) -> int:
    """Return the type of what a path leads to (`stat.S_IFREG` …), 0 if to nothing."""
    try:
        return stat.S_IFMT(os.stat(path).st_mode)  # noqa: PTH116
    except OSError:
        return 0


def is_file(path: Path, given: str) -> bool:
    """Return whether there is a plain file; raises InvalidArgument for a folder or a device."""
    found = kind(path)
    if found == stat.S_IFDIR or (not found and given.endswith(("/", os.sep))):
        pattern = f"{given.rstrip('/')}/**/*".removeprefix("./")
        raise InvalidArgument(
            f"{shown(given)} is a folder", f"Name a file, or all in it: {shown(pattern)}"
        )
    if found not in (0, stat.S_IFREG):
        raise _special(shown(given))
    return bool(found)


def open_plain(
    root: Path, parts: Sequence[str], mode: Literal["rb", "wb", "ab"], name: str
) -> BinaryIO:
    """Open the plain file at `parts` below `root`, through no link, and without blocking.

    Raises:
        InvalidArgument: it is no plain file.
        NotFound: it has gone.
        PermissionDenied: a link has taken its place, or the system refuses.
    """
    try:
        descriptor = _walk_open(root, parts, _MODES[mode] | _OPEN)
    except OSError as error:
        raise _refused(error, name) from error
    file = os.fdopen(descriptor, mode)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        file.close()
        raise _special(name)
    if mode == "wb":
        file.truncate()
    return file


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
