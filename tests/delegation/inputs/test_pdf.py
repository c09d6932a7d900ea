"""PDF files as documents of a prompt."""

from typing import Any

import pytest

from ollama_mcp_server.delegation.inputs import pdf as pdf_module
from ollama_mcp_server.delegation.inputs.documents import Document
from ollama_mcp_server.delegation.inputs.files import read_files
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument, TooLarge
from tests.delegation.inputs.writing import a_pdf


async def test_a_pdf_gives_its_text_page_by_page(roots: Roots, put: Any) -> None:
    put("report.pdf", a_pdf("First page.", "Second page."))
    assert await read_files(roots, ["report.pdf"]) == [
        Document("report.pdf", "First page.\n\nSecond page.")
    ]


async def test_a_pdf_is_known_by_its_content(roots: Roots, put: Any) -> None:
    put("report", a_pdf("Text."))
    put("plain.pdf", "only text")
    documents = await read_files(roots, ["report", "plain.pdf"])
    assert [document.text for document in documents] == ["Text.", "only text"]


async def test_a_pdf_that_everybody_may_open_is_read_though_encrypted(
    roots: Roots, put: Any
) -> None:
    put("open.pdf", a_pdf("Open text.", password=""))
    [document] = await read_files(roots, ["open.pdf"])
    assert document.text == "Open text."
    put("locked.pdf", a_pdf("Locked text.", password="secret"))
    with pytest.raises(InvalidArgument, match=r"locked\.pdf is encrypted"):
        await read_files(roots, ["locked.pdf"])


async def test_a_pdf_without_text_is_told_to_be_pictures(roots: Roots, put: Any) -> None:
    put("scan.pdf", a_pdf("", ""))
    with pytest.raises(InvalidArgument, match=r"scan\.pdf holds no text") as caught:
        await read_files(roots, ["scan.pdf"])
    assert "images" in caught.value.hint


@pytest.mark.parametrize("cut", [8, 100, -200])
async def test_a_broken_pdf_is_told(roots: Roots, put: Any, cut: int) -> None:
    put("broken.pdf", a_pdf("Text.")[:cut].replace(b"/Pages", b"/Pagez"))
    with pytest.raises(InvalidArgument, match=r"broken\.pdf (is damaged|holds no text)"):
        await read_files(roots, ["broken.pdf"])


async def test_a_pdf_has_so_many_pages_and_no_more(
    roots: Roots, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pdf_module, "MAX_PAGES", 2)
    put("long.pdf", a_pdf("1", "2", "3"))
    with pytest.raises(TooLarge, match=r"long\.pdf has more than 2 pages"):
        await read_files(roots, ["long.pdf"])
