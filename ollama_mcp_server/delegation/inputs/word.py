"""The text of DOCX files, as Word and others write them."""

import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from ...errors import TooLarge
from . import unreadable

#: Most bytes of a DOCX's XML once it is unpacked, and most parts.
MAX_UNPACKED = 64 * 2**20
MAX_PARTS = 5000


def docx_text(data: bytes, name: str) -> str:
    """Return the text of a DOCX: its paragraphs, and its tables row by row.

    Raises:
        InvalidArgument: it is damaged, or another binary, or its library is not installed.
        TooLarge: it unpacks to more than MAX_UNPACKED bytes, or MAX_PARTS parts.
    """
    try:
        import docx
        from docx.opc.exceptions import OpcError
    except ImportError:
        if b"word/document.xml" in data:
            raise unreadable.not_installed(name, "DOCX") from None
        raise unreadable.binary(name) from None
    try:
        body = docx.Document(_unpacked(data, name)).element.body
        return "\n".join(_blocks(body))
    except (OpcError, *unreadable.BROKEN) as error:
        raise unreadable.damaged(name, "DOCX") from error


def _unpacked(data: bytes, name: str) -> BytesIO:
    """Return a DOCX with its XML unpacked and without its pictures, read within bounds.

    A ZIP may lie about the sizes in it, so they are counted, not believed.
    """
    plain, left = BytesIO(), MAX_UNPACKED
    with zipfile.ZipFile(BytesIO(data)) as packed, zipfile.ZipFile(plain, "w") as unpacked:
        parts = {part.filename: part for part in packed.infolist()}
        if "word/document.xml" not in parts:
            raise unreadable.binary(name)
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
