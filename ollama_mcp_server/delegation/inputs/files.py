"""Files as documents: text of any encoding, PDF and DOCX, from the allowed folders."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import anyio

from ...errors import InvalidArgument, TooLarge
from . import unreadable
from .documents import Document
from .encodings import decode
from .globs import is_glob
from .paths import printable
from .pdf import pdf_text
from .roots import Roots
from .word import docx_text

#: Most files of a call; most bytes of one as it lies on the disk, and as text; most of all of them.
MAX_FILES = 500
MAX_FILE_BYTES = 20 * 2**20
MAX_TOTAL = 64 * 2**20


async def read_files(
    roots: Roots, files: Sequence[str], skipped: list[str] | None = None
) -> list[Document]:
    """Return the text of files, in the order given, each once; a glob's are sorted.

    Args:
        roots: the folders that may be read.
        files: paths, globs and `file://` URIs.
        skipped: takes why a file that only a glob names is left out, being no text; without it
            that is an error.

    Raises:
        InvalidArgument: a file is binary, damaged or encrypted, or its library is not installed.
        NotFound: a path or a glob names nothing.
        PermissionDenied: it is outside of `roots`.
        TimedOut: a file took more than `unreadable.MAX_SECONDS` to read.
        TooLarge: a file, or all of them, are over the limits.
    """
    paths: dict[Path, bool] = {}  # whether it was named itself
    for given in files:
        found = await anyio.to_thread.run_sync(roots.find, given, abandon_on_cancel=True)
        is_named = not is_glob(given)
        paths.update({path: is_named or paths.get(path, False) for path in found})
        if len(paths) > MAX_FILES:
            raise TooLarge(f"these are more than {MAX_FILES} files", "Send fewer at a time")
    documents: list[Document] = []
    names: set[str] = set()
    total = 0
    for path, is_named in paths.items():
        name = roots.name(path)
        if name in names:  # two roots may have a README each
            name = printable(path.as_posix())
        names.add(name)
        try:
            text = await _read(roots, path, name)
        except InvalidArgument as error:
            if skipped is None or is_named:
                raise
            skipped.append(f"left out: {error.message}")
            continue
        total += len(text)
        if total > MAX_TOTAL:
            raise TooLarge(
                f"with {name} these files hold more than {MAX_TOTAL >> 20} MiB of text",
                "Send fewer at a time",
            )
        documents.append(Document(name, text))
    return documents


async def _read(roots: Roots, path: Path, name: str) -> str:
    until = time.monotonic() + unreadable.MAX_SECONDS
    try:
        with anyio.fail_after(unreadable.MAX_SECONDS):
            # a parser that stalls holds a thread, but not the call
            return await anyio.to_thread.run_sync(
                partial(_text, roots, path, name, until), abandon_on_cancel=True
            )
    except TimeoutError as late:
        raise unreadable.late(name) from late


def _text(roots: Roots, path: Path, name: str, until: float) -> str:
    data = roots.read(path, MAX_FILE_BYTES)
    if data.startswith(b"%PDF-"):
        text = pdf_text(data, name, until, MAX_FILE_BYTES)
    elif data.startswith(b"PK\x03\x04"):
        text = docx_text(data, name)
    else:
        return decode(data, name)
    if not text.strip():
        raise InvalidArgument(
            f"{name} holds no text", "If it was scanned, send its pages as pictures, in images"
        )
    if len(text) > MAX_FILE_BYTES:
        raise TooLarge(f"{name} holds more than {MAX_FILE_BYTES >> 20} MiB of text", "Give a part")
    # parsers may give what is no text, and no JSON
    return text.replace("\0", "").encode("utf-8", "replace").decode()
