"""The JSON Lines file of a batch: one line for each result, so that a crash loses none.

The first line says which batch it is, by digests: prompts and schemas do not stand in it. Each
result is one write, complete with its newline, and so the system has it when the process dies; a
last line without one was cut by that, and is taken off. Nothing waits for the disk itself: after a
power cut the newest results may be missing, and are done again.

Failures are written last, when the work ends. The next run takes them off and tries them again, so
that no item has two lines. All of it touches the disk, reading and opening for longer.
"""

import hashlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import Any, BinaryIO

from ...errors import Conflict, ToolFailed

if sys.platform != "win32":
    import fcntl

#: Opens the file, in the mode rb or ab.
Opener = Callable[[str], BinaryIO]
#: One line of the file: index, item or name, model, then content, data or error.
Line = dict[str, Any]

VERSION = 1
#: In the first line, beside the digests.
_MARK = "ollama_batch"
_ANEW = "Give another output, or delete the file to start anew"


class Journal:
    """A batch's file, open for more results; as a context manager it is closed."""

    def __init__(self, file: BinaryIO, name: str, done: list[Line], end: int) -> None:
        """Take over an open file; `open_journal` makes one."""
        #: The results of earlier runs.
        self.done = done
        self._file = file
        self._name = name
        self._end = end

    def __enter__(self) -> "Journal":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, line: Mapping[str, Any]) -> None:
        """Add a line, in one write.

        Raises:
            ToolFailed: the disk is full, or fails; what is in the file stays whole.
        """
        rest = memoryview(encode(line))
        descriptor = self._file.fileno()
        try:
            end = self._end + len(rest)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(descriptor, self._end)
                os.lseek(descriptor, self._end, os.SEEK_SET)
            raise ToolFailed(
                f"{self._name} could not be written: {os.strerror(error.errno or 0)}",
                "Mend that and call again; the results in it are kept",
            ) from error
        self._end = end


def open_journal(
    opener: Opener,
    name: str,
    models: Sequence[str],
    request: Mapping[str, Any],
    items: Sequence[Any],
) -> Journal:
    """Open a batch's file: a new one, or the one of an earlier run that did not come to its end.

    Args:
        opener: opens the file for reading (rb) and for appending (ab, made where there is none),
            and leads to nothing but a plain file.
        name: what errors call it.
        models: the models that answer.
        request: all else that the results depend on (prompt, system, format …); the file holds
            digests of it.
        items: what is asked about, in its order.

    Raises:
        Conflict: the file is of another batch, or no batch's, or another process writes it.
        ToolFailed: the first line could not be written.
    """
    header = {_MARK: VERSION, "models": list(models)}
    header |= {part: digest(value) for part, value in request.items() if value is not None}
    with ExitStack() as stack:
        file = stack.enter_context(opener("ab"))
        _lock(file, name)
        with opener("rb") as copy:
            if not os.path.samestat(os.fstat(copy.fileno()), os.fstat(file.fileno())):
                raise Conflict(f"{name} was replaced while it was opened", "Call again")
            done, end = _read(copy, name, header, items)
        os.ftruncate(file.fileno(), end)
        os.lseek(file.fileno(), end, os.SEEK_SET)
        journal = Journal(file, name, done, end)
        if end == 0:
            journal.write(header)
        stack.pop_all()
        return journal


def _read(file: BinaryIO, name: str, header: Line, items: Sequence[Any]) -> tuple[list[Line], int]:
    """Return the results in a file, and where the next line goes."""
    begins = f'{{"{_MARK}":'.encode()
    start = file.read(len(begins))
    if not begins.startswith(start):  # all that is foreign is left alone, and not read
        raise _foreign(name)
    file.seek(0)
    done: list[Line] = []
    end, seen = 0, set()
    digests = [digest(item) for item in items]
    for number, raw in enumerate(file, 1):
        if not raw.endswith(b"\n"):  # cut by the end of the process that wrote it
            if number == 1 and not encode(header).startswith(raw):
                raise _foreign(name)
            break
        line = _parsed(raw)
        if number == 1:
            _compare(line, header, name)
        else:
            if line is None or line.get("model") not in header["models"]:
                raise Conflict(f"line {number} of {name} is no result of this batch", _ANEW)
            if "error" in line:
                break  # failures stand last, and are tried again
            index = line.get("index")
            if not isinstance(index, int) or not 0 <= index < len(items):
                raise Conflict(f"{name} has results of more items than were given", _ANEW)
            if line.get("digest") != digests[index]:
                raise Conflict(f"item {index} is not the one that {name} has a result of", _ANEW)
            if (line["model"], index) in seen:
                raise Conflict(f"{name} has two results of item {index}", _ANEW)
            seen.add((line["model"], index))
            done.append(line)
        end += len(raw)
    return done, end


def _compare(found: Line | None, header: Line, name: str) -> None:
    """Raise Conflict unless a file's first line is that of this batch."""
    if found is None or _MARK not in found:
        raise _foreign(name)
    if found[_MARK] != VERSION:
        raise Conflict(f"{name} was written by another version of this server", _ANEW)
    other = [part for part in {**header, **found} if header.get(part) != found.get(part)]
    if other == ["models"]:
        raise Conflict(f"{name} is a batch of {', '.join(map(str, found['models']))}", _ANEW)
    if other:
        raise Conflict(
            f"{name} is of another batch: {' and '.join(other)} "
            f"{'differs' if len(other) == 1 else 'differ'}",
            _ANEW,
        )


def _foreign(name: str) -> Conflict:
    return Conflict(f"{name} exists and is no file of a batch", "Give another output")


def _lock(file: BinaryIO, name: str) -> None:
    """Keep other processes from writing the file; where the system has no locks, nothing does."""
    if sys.platform != "win32":
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(
                f"another batch is writing {name}", "Wait for its end, or give another output"
            ) from None
        except OSError:
            pass  # a file system without locks


def _parsed(raw: bytes) -> Line | None:
    try:
        line = json.loads(raw)
    except ValueError:
        return None
    return line if isinstance(line, dict) else None


def encode(line: Mapping[str, Any]) -> bytes:
    """Return a line of the file; a lone surrogate stands in it as JSON's own escape."""
    text = json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n"
    return text.encode("utf-8", "backslashreplace")


def digest(value: Any) -> str:
    """Return what tells a value from others: 16 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
