"""Text of any encoding, and what is no text."""

import zlib
from typing import Any

import pytest

from ollama_mcp_server.delegation.inputs.files import read_files
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument
from tests.delegation.inputs.pictures import a_picture
from tests.delegation.inputs.writing import a_zip

GERMAN = "Grüße aus München – „schön“ ist es hier, für 5 € am Tag.\r\n"
FRENCH = "Été à la plage, où le garçon reçoit une leçon. Ça va très bien, merci à vous"
RUSSIAN = "Привет, как дела? Это русский текст о погоде в Москве."
JAPANESE = "これは日本語の文章です。とても長い文章ではありません。"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("", "utf-8"),
        ("plain", "ascii"),
        (GERMAN, "utf-8"),
        (GERMAN, "utf-8-sig"),
        (GERMAN, "utf-16"),
        (GERMAN, "utf-32"),
        (GERMAN, "utf-16-le"),
        (GERMAN, "utf-16-be"),
        ("\ufeff" + GERMAN, "utf-16-be"),
        (GERMAN, "cp1252"),
        (FRENCH, "latin-1"),
        ("café", "latin-1"),
        ("# naïve résumé\nprint('façade')\n", "latin-1"),
        ("Zażółć gęślą jaźń, to jest tekst po polsku", "cp1250"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc_jp"),
        (JAPANESE, "utf-16"),
        ("这是一个中文文件,内容不长。我们来看看。", "gb18030"),
        ("이것은 한국어 문장입니다. 길지 않습니다.", "euc_kr"),
        ("\x1b[31mred\x1b[0m\tlog\f", "ascii"),
        ('<svg xmlns="http://www.w3.org/2000/svg"/>', "utf-8"),
    ],
)
async def test_text_of_any_encoding_is_read(
    roots: Roots, put: Any, text: str, encoding: str
) -> None:
    put("a.txt", text.encode(encoding))
    [document] = await read_files(roots, ["a.txt"])
    assert document.text == text.removeprefix("\ufeff")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "WEBP", "TIFF"])
async def test_a_picture_is_refused_by_name_and_sent_to_images(
    roots: Roots, put: Any, kind: str
) -> None:
    put("photo.txt", a_picture(kind))
    with pytest.raises(InvalidArgument, match=r"photo\.txt is a picture \(\w+\)") as caught:
        await read_files(roots, ["photo.txt"])
    assert "images" in caught.value.hint


@pytest.mark.parametrize(
    "content",
    [
        b"\x7fELF\x02\x01\x01\0\0",
        b"text with a\0NUL",
        a_zip(a=b"x"),
        a_zip(**{"xl/workbook.xml": b"<x/>"}),
        b"\x1f\x8b\x08\x01\x01\x01\x01\x01\x02\xff" + b"\x81" * 9,
        bytes(range(1, 256)) * 5,
        zlib.compress(bytes(range(256)) * 9).replace(b"\0", b"\1"),
        b"\1\0\2\0\3\0" * 9,  # numbers of 16 bits, not UTF-16
        "text\0text".encode("utf-16"),
    ],
)
async def test_a_binary_is_refused_by_name(roots: Roots, put: Any, content: bytes) -> None:
    put("a.txt", "text")
    put("sub/data.txt", content)
    with pytest.raises(InvalidArgument, match=r"sub/data\.txt is binary"):
        await read_files(roots, ["**/*.txt"])
