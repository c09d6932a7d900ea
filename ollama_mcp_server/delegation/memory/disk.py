"""State in files that their owner alone can read."""

import json
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ...errors import OllamaMCPError, PermissionDenied, TooLarge
from .state import State


def on_disk(folder: Path, lasts: float) -> State:
    """Return the state in a folder, which is made if it is not there.

    Raises:
        PermissionDenied: the folder is another user's.
        OllamaMCPError: it is not named in full, or cannot be made.
    """
    from key_value.aio.stores.filetree import FileTreeStore

    if not folder.is_absolute():
        raise OllamaMCPError(
            "OLLAMA_MCP_STATE_URL names no folder, or this user has no home to hold one",
            "Set it to file:///FOLDER, with the full path",
        )
    # A room of our own, so that a folder shared with others can be given.
    room = folder / "store"
    with _file_errors(folder):
        _make_private(room)
        _forget_old_place(room)
        store = FileTreeStore(data_directory=room)
    return State(
        store,
        str(folder),
        lasts,
        told=lambda: _file_errors(folder),
        sweep=lambda: _sweep(room, lasts),
    )


def _make_private(room: Path) -> None:
    """Make a folder that its owner alone may enter; whatever is made in it is closed by that."""
    room.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    room.mkdir(mode=0o700, exist_ok=True)
    found = room.lstat()
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not (ours and stat.S_ISDIR(found.st_mode)):
        raise PermissionDenied(
            f"{room} is another user's, or a link", "Remove it, or set OLLAMA_MCP_STATE_URL anew"
        )
    room.chmod(0o700)


def _sweep(room: Path, lasts: float) -> None:
    """Remove the files of what has expired, and those that a crash left half written."""
    for file in room.glob("*/*"):
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - lasts:
                file.unlink()


def _forget_old_place(room: Path) -> None:
    """Remove the notes in which the store keeps its full path, if the folder has been moved.

    It would refuse to work there otherwise.
    """
    for note in room.glob("*-info.json"):
        try:
            place = Path(json.loads(note.read_bytes())["directory"]).parent
        except ValueError:
            place = None
        if place != room.resolve():
            note.unlink(missing_ok=True)


@contextmanager
def _file_errors(folder: Path) -> Iterator[None]:
    from key_value.aio.errors import BaseKeyValueError

    try:
        yield
    except SystemError as error:  # so the library for the disk tells that there is no room
        raise TooLarge(
            "what is to be kept did not fit on the disk",
            "Make room on the disk of OLLAMA_MCP_STATE_URL, or forget conversations",
        ) from error
    except (OSError, BaseKeyValueError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if isinstance(cause, OSError):
            raise OllamaMCPError(
                f"the state in {folder} cannot be read or written: {cause.strerror}",
                "Check the folder's permissions and the space on its disk",
            ) from error
        raise OllamaMCPError(
            f"a file of the state in {folder} is damaged",
            "Restore it, or remove the folder store in there, which forgets everything",
        ) from error
