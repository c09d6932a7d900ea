"""A client's file: read whole, written whole or not at all, with a copy of what it was."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import datetime
from pathlib import Path

from ..errors import InvalidArgument, PermissionDenied


def read(file: Path) -> str:
    """Return what stands in a file, "" if there is none.

    Raises:
        InvalidArgument: it is no UTF-8 text.
        PermissionDenied: it cannot be read.
    """
    try:
        return file.read_bytes().decode()
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise InvalidArgument(
            f"{file} is no UTF-8 text (byte {error.start})", "Save it as UTF-8"
        ) from None
    except OSError as error:
        raise PermissionDenied(f"{file} cannot be read: {error.strerror}") from error


def write(file: Path, text: str, now: datetime) -> Path | None:
    """Write a file, and return where a copy of what it was is kept, None if there was no file.

    Whoever reads it meanwhile sees old or new. A link stays one, and the mode stays; a new file is
    its owner's alone.

    Raises:
        PermissionDenied: it cannot be written; it is then as it was.
    """
    try:
        target = file.resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        backup = None
        if target.exists():
            # Who made it so wants it to stay as it is, though a new file could take its place.
            if not target.stat().st_mode & 0o222 or not os.access(target, os.W_OK):
                raise PermissionDenied(
                    f"{file} may only be read", "Allow writing to it, or use --print"
                )
            backup = _free(target, f"{target.name}.{now:%Y%m%d-%H%M%S}")
            shutil.copy2(target, backup)
        number, name = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(text.encode())
            if backup:
                shutil.copymode(target, name)
            Path(name).replace(target)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as error:
        raise PermissionDenied(
            f"{file} cannot be written: {error.strerror}", "Use --print, and change it by hand"
        ) from error
    return backup


def _free(target: Path, stem: str) -> Path:
    """Return the name of a copy that nothing has yet."""
    for number in range(100):
        name = f"{stem}.bak" if number == 0 else f"{stem}-{number}.bak"
        if not (found := target.with_name(name)).exists():
            return found
    raise PermissionDenied(f"there are too many copies of {target}", "Delete some *.bak beside it")
