"""Documents for a prompt: text of any encoding, PDF and DOCX, from the allowed folders."""

from __future__ import annotations

import codecs
import hashlib
import logging
import re
import time
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import anyio

from ...errors import InvalidArgument, TimedOut, TooLarge
from .images import kind_of
from .roots import GLOB, Roots, printable

#: Most files of a call; most bytes of one as it lies on the disk, and as text; most of all of them.
MAX_FILES = 500
MAX_FILE_BYTES = 20 * 2**20
MAX_TOTAL = 64 * 2**20
#: Most bytes of a DOCX's XML once it is unpacked, and most parts.
MAX_UNPACKED = 64 * 2**20
MAX_PARTS = 5000
MAX_PAGES = 2000
#: Seconds that a file may take to be read.
MAX_SECONDS = 60.0

#: Encodings without a mark, the likelier first: among those that explain a text equally well,
#: the first is taken.
_CHARSETS = (
    *("cp1252", "cp1250", "euc_jp", "cp932", "gb18030", "big5", "cp949", "cp1251", "koi8_r"),
    *("cp1253", "cp1254", "cp1255", "cp1256", "cp874", "iso8859_2", "mac_roman", "cp850"),
)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # before UTF-16's, which it begins with
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
#: Beginnings of binaries that may hold no NUL; all others do.
_PACKED = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"7z\xbc\xaf", b"Rar!")
_CONTROL = re.compile("[\0-\x08\x0b\x0e-\x1a]")  # in no text of 16 or 32 bits
_EXTRA = "pip install 'ollama-mcp-server[documents]', then start the server again"
#: What the parsers raise for broken files, beside their own.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True)
class Document:
    """A file's name, as the prompt tells it, and its text."""

    name: str
    text: str


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
        TimedOut: a file took more than MAX_SECONDS to read.
        TooLarge: a file, or all of them, are over the limits.
    """
    paths: dict[Path, bool] = {}  # whether it was named itself
    for given in files:
        found = await anyio.to_thread.run_sync(roots.find, given, abandon_on_cancel=True)
        is_named = not any(character in given for character in GLOB)
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


def with_documents(documents: Sequence[Document], prompt: str) -> str:
    """Return the prompt behind the documents, each under its name; small models do best so.

    A line that a document holds itself is no fence: where one holds the usual, the fence gets a
    number that follows from all their content, which none can know.
    """
    if not documents:
        return prompt
    fence = "====="
    held = [part for document in documents for part in (document.name, document.text)]
    while any(fence in part for part in held):
        fence = f"====={hashlib.sha256(''.join([fence, *held]).encode()).hexdigest()[:12]}"
    told = [f"{fence} {document.name}\n{document.text}\n" for document in documents]
    return f"{''.join(told)}{fence} end of files\n\n{prompt}"


async def _read(roots: Roots, path: Path, name: str) -> str:
    until = time.monotonic() + MAX_SECONDS
    try:
        with anyio.fail_after(MAX_SECONDS):
            # a parser that stalls holds a thread, but not the call
            return await anyio.to_thread.run_sync(
                partial(_text, roots, path, name, until), abandon_on_cancel=True
            )
    except TimeoutError as late:
        raise _late(name) from late


def _text(roots: Roots, path: Path, name: str, until: float) -> str:
    data = roots.read(path, MAX_FILE_BYTES)
    if data.startswith(b"%PDF-"):
        text = _pdf(data, name, until)
    elif data.startswith(b"PK\x03\x04"):
        text = _docx(data, name)
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


def decode(data: bytes, name: str) -> str:
    """Return what bytes say as text: by their mark, as UTF-8, or in the likeliest encoding.

    Raises:
        InvalidArgument: they are a picture, or another binary.
    """
    if (kind := kind_of(data)) and kind != "SVG":  # which is text
        raise InvalidArgument(f"{name} is a picture ({kind})", "Send pictures in images")
    if data.startswith(_PACKED):
        raise _binary(name)
    charsets = [charset for mark, charset in _MARKS if data.startswith(mark)][:1] or ["utf-8"]
    if 0 in data and charsets == ["utf-8"]:
        # UTF-16 without its mark: every second byte of a text in the West is 0
        charsets = [
            charset
            for charset, high in (("utf-16-le", data[1::2]), ("utf-16-be", data[::2]))
            if high.count(0) > len(data) * 0.4
        ]
    for charset in charsets:
        try:
            text = data.decode(charset)
        except UnicodeDecodeError:
            continue
        if not (0 in data and _CONTROL.search(text)):
            return text
    if 0 in data:
        raise _binary(name)
    return _guess(data, name)


def _guess(data: bytes, name: str) -> str:
    from charset_normalizer import from_bytes

    order = {charset: at for at, charset in enumerate(_CHARSETS)}
    found = min(
        from_bytes(data, cp_isolation=list(_CHARSETS)),
        key=lambda match: (match.chaos, -match.coherence, order.get(match.encoding, len(order))),
        default=None,
    )
    if found is None:
        raise _binary(name)
    return str(found)


def _pdf(data: bytes, name: str, until: float) -> str:
    try:
        from pypdf import PdfReader
        from pypdf.errors import DependencyError, PyPdfError
    except ImportError:
        raise _not_installed(name, "PDF") from None
    # it logs each oddity of a file, parts of its content included
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    texts: list[str] = []
    try:
        reader = PdfReader(BytesIO(data))
        if reader.is_encrypted and not reader.decrypt(""):
            raise DependencyError
        if len(reader.pages) > MAX_PAGES:
            raise TooLarge(f"{name} has more than {MAX_PAGES} pages", "Split it")
        size = 0
        for page in reader.pages:
            texts.append(page.extract_text())
            size += len(texts[-1])
            if time.monotonic() > until:
                raise _late(name)  # nobody waits for this thread any more
            if size > MAX_FILE_BYTES:
                break  # `_text` says so
    except DependencyError:
        raise InvalidArgument(
            f"{name} is encrypted", "Save it without a password, or give its text"
        ) from None
    except (PyPdfError, *_BROKEN) as error:
        raise _damaged(name, "PDF") from error
    return "\n\n".join(texts)


def _docx(data: bytes, name: str) -> str:
    try:
        import docx
        from docx.opc.exceptions import OpcError
    except ImportError:
        if b"word/document.xml" in data:
            raise _not_installed(name, "DOCX") from None
        raise _binary(name) from None
    try:
        body = docx.Document(_unpacked(data, name)).element.body
        return "\n".join(_blocks(body))
    except (OpcError, *_BROKEN) as error:
        raise _damaged(name, "DOCX") from error


def _unpacked(data: bytes, name: str) -> BytesIO:
    """Return a DOCX with its XML unpacked and without its pictures, read within bounds.

    A ZIP may lie about the sizes in it, so they are counted, not believed.
    """
    plain, left = BytesIO(), MAX_UNPACKED
    with zipfile.ZipFile(BytesIO(data)) as packed, zipfile.ZipFile(plain, "w") as unpacked:
        parts = {part.filename: part for part in packed.infolist()}
        if "word/document.xml" not in parts:
            raise _binary(name)
        for part in parts.values():
            content = b""
            if part.filename.endswith((".xml", ".rels")):
                # only these two unpack no more than they are asked for
                if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile
                with packed.open(part) as file:
                    content = file.read(left + 1)
            left -= len(content)
            if left < 0 or len(parts) > MAX_PARTS:
                raise TooLarge(f"{name} unpacks to more than {MAX_UNPACKED >> 20} MiB", "Split it")
            unpacked.writestr(part.filename, content)
    plain.seek(0)
    return plain


def _blocks(element: Any) -> Iterator[str]:
    """Yield the paragraphs of a DOCX, and the rows of its tables, in their order."""
    for child in _children(element):
        kind = _local(child)
        if kind == "p":
            yield _line(child)
        elif kind == "tbl":
            for row in _children(child):
                if _local(row) == "tr":
                    cells = [cell for cell in _children(row) if _local(cell) == "tc"]
                    yield " | ".join(" ".join(_blocks(cell)) for cell in cells)


def _children(element: Any) -> Iterator[Any]:
    """Yield an element's children; those in content controls and insertions as its own."""
    for child in element.iterchildren("{*}*"):
        if _local(child) in ("sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag"):
            yield from _children(child)
        else:
            yield child


def _line(element: Any) -> str:
    """Return the text of a paragraph as it stands: insertions made, deletions left out."""
    pieces = []
    for child in element.iterchildren("{*}*"):
        kind = _local(child)
        if kind == "t":
            pieces.append(child.text or "")
        elif kind in ("br", "cr"):
            pieces.append("\n")
        elif kind == "tab":
            pieces.append("\t")
        elif kind == "noBreakHyphen":
            pieces.append("-")
        elif kind not in ("pPr", "rPr", "del", "moveFrom", "Fallback"):
            pieces.append(f"\n{_line(child)}" if kind == "p" else _line(child))
    return "".join(pieces)


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _late(name: str) -> TimedOut:
    return TimedOut(f"{name} took more than {MAX_SECONDS:g} s to read", "Give its text instead")


def _binary(name: str) -> InvalidArgument:
    return InvalidArgument(
        f"{name} is binary: neither text, nor PDF, nor DOCX", "Convert it, or leave it out"
    )


def _damaged(name: str, kind: str) -> InvalidArgument:
    return InvalidArgument(f"{name} is damaged: it cannot be read as {kind}", "Save it anew")


def _not_installed(name: str, kind: str) -> InvalidArgument:
    return InvalidArgument(f"{name} is a {kind}, and what reads those is not installed", _EXTRA)
