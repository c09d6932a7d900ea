"""DOCX files as documents of a prompt."""

import sys
import zipfile
import zlib
from io import BytesIO
from typing import Any

import pytest
from docx.oxml import parse_xml

from ollama_mcp_server.delegation.inputs.files import read_files
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.delegation.inputs.word import MAX_UNPACKED
from ollama_mcp_server.errors import InvalidArgument, TooLarge
from tests.delegation.inputs.pictures import a_picture
from tests.delegation.inputs.writing import a_docx, a_zip

W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'


def replaced(archive: bytes, name: str, content: bytes, **kind: int) -> bytes:
    """A ZIP with another content of one part."""
    written = BytesIO()
    with zipfile.ZipFile(BytesIO(archive)) as old, zipfile.ZipFile(written, "w", 8) as new:
        for part in old.infolist():
            if part.filename != name:
                new.writestr(part.filename, old.read(part))
        new.writestr(name, content, **kind)
    return written.getvalue()


def table_of(document: Any, *rows: tuple[str, ...]) -> None:
    table = document.add_table(0, len(rows[0]))
    for row in rows:
        for cell, text in zip(table.add_row().cells, row, strict=True):
            cell.text = text


async def test_a_docx_gives_paragraphs_and_tables_in_order(roots: Roots, put: Any) -> None:
    def build(document: Any) -> None:
        document.add_heading("Title")
        document.add_paragraph("Before.\tTab\nLine")
        table_of(document, ("Name", "Age"), ("Ada", "36"))
        document.add_paragraph("After.")

    put("letter.docx", a_docx(build))
    [document] = await read_files(roots, ["letter.docx"])
    assert document.text == "Title\nBefore.\tTab\nLine\nName | Age\nAda | 36\nAfter."


async def test_a_docx_is_read_as_it_stands_after_its_changes(roots: Roots, put: Any) -> None:
    def build(document: Any) -> None:
        body = document.element.body
        for xml in (
            "<w:p {}><w:r><w:t>Old </w:t></w:r><w:ins><w:r><w:t>new</w:t></w:r></w:ins>"
            "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del></w:p>",
            "<w:sdt {}><w:sdtContent><w:p><w:r><w:t>Controlled</w:t></w:r></w:p></w:sdtContent>"
            "</w:sdt>",
            "<w:p {}><w:hyperlink><w:r><w:t>A link</w:t></w:r></w:hyperlink></w:p>",
        ):
            body.insert(len(body) - 1, parse_xml(xml.format(W)))
        cell = document.add_table(1, 1).cell(0, 0)
        cell.text = "Outer"
        cell.add_table(1, 1).cell(0, 0).text = "inner"

    put("a.docx", a_docx(build))
    [document] = await read_files(roots, ["a.docx"])
    assert [line.strip() for line in document.text.splitlines()] == [
        "Old new",
        "Controlled",
        "A link",
        "Outer inner",
    ]


async def test_a_docx_with_pictures_is_read_without_them(roots: Roots, put: Any) -> None:
    def build(document: Any) -> None:
        document.add_paragraph("See:")
        document.add_picture(BytesIO(a_picture("PNG")))

    put("a.docx", a_docx(build))
    [document] = await read_files(roots, ["a.docx"])
    assert document.text.strip() == "See:"


async def test_a_docx_that_unpacks_to_too_much_is_refused(roots: Roots, put: Any) -> None:
    bomb = b"<w:document " + W.encode() + b">" + b" " * MAX_UNPACKED + b"</w:document>"
    whole = a_docx(lambda document: None)
    put("bomb.docx", replaced(whole, "word/document.xml", bomb))
    with pytest.raises(TooLarge, match=r"bomb\.docx unpacks to more than 64 MiB"):
        await read_files(roots, ["bomb.docx"])


async def test_a_docx_that_lies_about_its_size_is_no_bomb_either(roots: Roots, put: Any) -> None:
    whole = a_docx(lambda document: None)
    bomb = replaced(whole, "word/document.xml", b"<x/>" + b" " * 10**7)
    # both headers of the part say 4 bytes, with the checksum of those
    lying = bomb
    for real, told in (
        (10**7 + 4, 4),
        (zlib.crc32(b"<x/>" + b" " * 10**7), zlib.crc32(b"<x/>")),
    ):
        assert lying.count(real.to_bytes(4, "little")) == 2
        lying = lying.replace(real.to_bytes(4, "little"), told.to_bytes(4, "little"))
    put("lies.docx", lying)
    with pytest.raises(InvalidArgument, match=r"lies\.docx (is damaged|holds no text)"):
        await read_files(roots, ["lies.docx"])


@pytest.mark.parametrize(
    ("part", "content"),
    [
        ("word/document.xml", b"not XML"),
        ("word/document.xml", b""),
        ("[Content_Types].xml", b"<x/>"),
        ("_rels/.rels", b"<x/>"),
    ],
)
async def test_a_broken_docx_is_told(roots: Roots, put: Any, part: str, content: bytes) -> None:
    put("broken.docx", replaced(a_docx(lambda document: None), part, content))
    with pytest.raises(InvalidArgument, match=r"broken\.docx is damaged"):
        await read_files(roots, ["broken.docx"])


async def test_a_docx_cut_short_or_oddly_packed_is_told(roots: Roots, put: Any) -> None:
    whole = a_docx(lambda document: None)
    odd = replaced(whole, "word/document.xml", b"<x/>", compress_type=zipfile.ZIP_LZMA)
    for content in (whole[: len(whole) // 2], odd):
        put("broken.docx", content)
        with pytest.raises(InvalidArgument, match=r"broken\.docx is damaged"):
            await read_files(roots, ["broken.docx"])


async def test_a_docx_without_text_is_told(roots: Roots, put: Any) -> None:
    put("empty.docx", a_docx(lambda document: None))
    with pytest.raises(InvalidArgument, match=r"empty\.docx holds no text"):
        await read_files(roots, ["empty.docx"])


async def test_a_zip_is_binary_without_the_library_too(
    roots: Roots, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("a.zip", a_zip(a=b"x"))
    monkeypatch.setitem(sys.modules, "docx", None)
    with pytest.raises(InvalidArgument, match=r"a\.zip is binary"):
        await read_files(roots, ["a.zip"])
