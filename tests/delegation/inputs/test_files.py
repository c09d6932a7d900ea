"""Text, PDF and DOCX files as documents of a prompt."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.delegation.inputs import files as files_module
from ollama_mcp_server.delegation.inputs import unreadable
from ollama_mcp_server.delegation.inputs.documents import Document
from ollama_mcp_server.delegation.inputs.files import MAX_FILE_BYTES, MAX_FILES, read_files
from ollama_mcp_server.delegation.inputs.roots import Roots
from ollama_mcp_server.errors import InvalidArgument, NotFound, TimedOut, TooLarge
from tests.delegation.inputs.pictures import a_picture
from tests.delegation.inputs.writing import a_docx, a_pdf


async def test_files_come_in_the_order_given_each_once(roots: Roots, put: Any) -> None:
    for name in ("b.txt", "a.txt", "sub/c.txt", "sub/a.md"):
        put(name, f"text of {name}")
    documents = await read_files(roots, ["sub/*.txt", "*.txt", "b.txt", "./a.txt", "**/*.md"])
    assert [document.name for document in documents] == [
        "sub/c.txt",
        "a.txt",
        "b.txt",
        "sub/a.md",
    ]
    assert all(document.text == f"text of {document.name}" for document in documents)


async def test_no_files_are_no_documents(roots: Roots) -> None:
    assert await read_files(roots, []) == []


async def test_files_of_one_name_in_two_roots_are_told_apart(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.txt").write_text(folder)
    documents = await read_files(Roots([tmp_path / "one", tmp_path / "two"]), ["*.txt"])
    assert documents == [
        Document("a.txt", "one"),
        Document((tmp_path / "two" / "a.txt").as_posix(), "two"),
    ]


async def test_what_a_glob_brings_along_may_be_left_out(roots: Roots, put: Any) -> None:
    put("photo.png", a_picture("PNG"))
    put("notes.txt", b"Hello")
    skipped: list[str] = []
    documents = await read_files(roots, ["*"], skipped)
    assert [document.name for document in documents] == ["notes.txt"]
    assert skipped == ["left out: photo.png is a picture (PNG)"]
    for named in (["*", "photo.png"], ["photo.png", "*"]):
        with pytest.raises(InvalidArgument):
            await read_files(roots, named, [])


async def test_bounds_name_the_file_and_the_limit(
    roots: Roots, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    put("big.txt", b"x" * (MAX_FILE_BYTES + 1))
    with pytest.raises(TooLarge, match=r"big\.txt is larger than the 20 MiB"):
        await read_files(roots, ["big.txt"])
    put("big.txt", "12345678")
    put("small.txt", "12345678")
    monkeypatch.setattr(files_module, "MAX_TOTAL", 10)
    with pytest.raises(TooLarge, match=r"with small\.txt these files hold more than"):
        await read_files(roots, ["*.txt"])


async def test_too_many_files_in_several_globs(roots: Roots, put: Any) -> None:
    for number in range(MAX_FILES + 1):
        put(f"{number % 2}/{number}.txt", "")
    with pytest.raises(TooLarge, match=f"more than {MAX_FILES} files"):
        await read_files(roots, ["0/*", "1/*"])


async def test_what_is_not_there_is_told(roots: Roots, put: Any) -> None:
    put("notes.txt", "")
    with pytest.raises(NotFound) as caught:
        await read_files(roots, ["notes.txt", "note.txt"])
    assert "Did you mean notes.txt?" in caught.value.hint


async def test_a_file_that_takes_too_long_ends_and_the_loop_goes_on_meanwhile(
    roots: Roots, put: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pages of a thousand lines, each of which the parser sets anew
    put("slow.pdf", a_pdf(*["x) Tj 1 1 Td (" * 1000] * 200))
    monkeypatch.setattr(unreadable, "MAX_SECONDS", 1.5)
    reading = asyncio.create_task(read_files(roots, ["slow.pdf"]))
    ticks = 0
    while not reading.done():
        await asyncio.sleep(0.01)
        ticks += 1
    with pytest.raises(TimedOut, match=r"slow\.pdf took more than 1\.5 s"):
        await reading
    assert ticks > 2


@pytest.mark.parametrize(
    ("library", "name", "content"),
    [
        ("pypdf", "a.pdf", a_pdf("x")),
        ("docx", "a.docx", a_docx(lambda document: document.add_paragraph("x"))),
    ],
)
async def test_without_the_library_the_error_says_what_to_install(
    roots: Roots,
    put: Any,
    monkeypatch: pytest.MonkeyPatch,
    library: str,
    name: str,
    content: bytes,
) -> None:
    put(name, content)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(InvalidArgument, match=f"{name} is a .* not installed") as caught:
        await read_files(roots, [name])
    assert "pip install 'ollama-mcp-server[documents]'" in caught.value.hint
