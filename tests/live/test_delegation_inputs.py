"""Files and pictures of a call: the daemon's own rendering holds them, the caller's result not."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import docx
import httpx
import pytest
from fastmcp.client.client import CallToolResult
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from scripts.testbed import models, recorder
from scripts.testbed.recorder import Recorder
from tests.conftest import Caller, text
from tests.live.sessions import in_memory, over_stdio, own_daemon, picture, user

pytestmark = pytest.mark.live

TOOLS = ("ollama_chat", "ollama_generate", "chat_completion")
each_tool = pytest.mark.parametrize("tool", TOOLS)
#: A model made here, and its window.
SMALL, WINDOW = "mine/small", 512
SHORT = {"num_predict": 4, "temperature": 0}
QUESTION = "What is it about?"
#: Each file with what its text holds, and the pattern or path that names it.
HELD = {
    "latin.txt": "Der Bussard kreist über dem Münster.",
    "wide.txt": "Пустельга живёт на колокольне.",
    "paper.pdf": "Kestrels hover over the meadow.",
    "report.docx": "A merlin follows the flock.",
    "notes/deep/a.md": "The hobby eats dragonflies.",
}
NAMING = {
    "latin.txt": "latin.txt",
    "wide.txt": "*de.txt",
    "paper.pdf": "{uri}/paper.pdf",
    "report.docx": "{folder}/report.docx",
    "notes/deep/a.md": "**/*.md",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "notes/deep").mkdir(parents=True)
    (root / "latin.txt").write_bytes(HELD["latin.txt"].encode("latin-1"))
    (root / "wide.txt").write_bytes(HELD["wide.txt"].encode("utf-16"))
    (root / "notes/deep/a.md").write_text(HELD["notes/deep/a.md"])
    write_pdf(root / "paper.pdf", HELD["paper.pdf"])
    report = docx.Document()
    report.add_paragraph(HELD["report.docx"])
    report.save(str(root / "report.docx"))
    return root


def write_pdf(path: Path, line: str) -> None:
    writer = PdfWriter()
    page = writer.add_blank_page(200, 200)
    stream = DecodedStreamObject()
    stream.set_data(f"BT /F1 12 Tf 10 100 Td ({line}) Tj ET".encode())
    names = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    font = DictionaryObject({NameObject(k): NameObject(v) for k, v in names.items()})
    fonts = DictionaryObject({NameObject("/F1"): font})
    page[NameObject("/Contents")] = writer._add_object(stream)
    page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    writer.write(path)


@pytest.fixture(scope="module")
def url(ollama_host: str) -> Iterator[str]:
    """A daemon with a model besides whose window is small."""
    with own_daemon() as (ollama, _):
        body = {"model": SMALL, "from": models.CHAT, "parameters": {"num_ctx": WINDOW}}
        httpx.post(f"{ollama.url}/api/create", json=body).raise_for_status()
        yield ollama.url


@pytest.fixture
def tape(url: str) -> Iterator[Recorder]:
    with recorder.start(url) as seen:
        yield seen


@pytest.fixture
async def caller(tape: Recorder, folder: Path) -> AsyncIterator[Caller]:
    async with in_memory(tape.url, roots=(folder,)) as caller:
        yield caller


def asking(tool: str, question: str = QUESTION, **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"model": models.CHAT}
    given |= {"prompt": question} if tool == "ollama_generate" else {"messages": [user(question)]}
    if tool == "chat_completion":
        return {**given, "max_tokens": 4, "temperature": 0, **more}
    return {**given, "options": SHORT, **more}


def prompted(tape: Recorder) -> str:
    """What the last request asked, as far as it is the caller's text."""
    bodies = [seen.json for seen in tape.exchanges if seen.path in ("/api/chat", "/api/generate")]
    body = [body for body in bodies if body.get("messages") or body.get("prompt")][-1]
    asked: str = body["prompt"] if "prompt" in body else body["messages"][-1]["content"]
    return asked


def rendered(result: CallToolResult) -> str:
    assert not result.is_error, text(result)
    prompt: str = result.meta["ollama/final"]["_debug_info"]["rendered_template"]
    return prompt


# files


@pytest.mark.parametrize("tool", ["ollama_chat", "ollama_generate"])
@pytest.mark.parametrize("name", HELD)
async def test_the_rendered_prompt_holds_a_file_under_its_name(
    caller: Caller, folder: Path, tool: str, name: str
) -> None:
    given = NAMING[name].format(folder=folder, uri=folder.as_uri())
    result = await caller.call(tool, **asking(tool, files=given, debug_render_only=True))
    prompt = rendered(result)
    assert f"===== {name}\n{HELD[name]}" in prompt
    assert prompt.index(HELD[name]) < prompt.index(QUESTION)
    shown = text(result) + json.dumps(result.structured_content, ensure_ascii=False)
    assert HELD[name] not in shown


@each_tool
async def test_all_files_are_read_and_none_comes_back(
    caller: Caller, tape: Recorder, tool: str
) -> None:
    result = await caller.call(tool, **asking(tool, files=["*.txt", "**/*.md", "*.pdf", "*.docx"]))
    assert not result.is_error, text(result)
    prompt = prompted(tape)
    assert all(f"===== {name}\n{held}" in prompt for name, held in HELD.items())
    assert prompt.endswith(QUESTION)
    shown = text(result) + json.dumps(result.structured_content, ensure_ascii=False)
    assert not any(held in shown for held in HELD.values())
    assert result.structured_content["usage"]["prompt_tokens"] > 60


async def test_a_history_keeps_its_place(caller: Caller, tape: Recorder) -> None:
    history = [user("Hello"), {"role": "assistant", "content": "Hi"}, user(QUESTION)]
    await caller.call("ollama_chat", model=models.CHAT, messages=history, files="wide.txt",
                      options=SHORT)  # fmt: skip
    sent = tape.exchanges[-1].json["messages"]
    assert sent[:2] == history[:2]
    assert sent[2]["content"].startswith("===== wide.txt\n")


@each_tool
async def test_over_stdio(url: str, folder: Path, tool: str) -> None:
    server = over_stdio(url, OLLAMA_MCP_ROOTS=str(folder))
    async with Caller(server) as caller:
        with_file = await caller.call(tool, **asking(tool, files=["latin.txt"]))
        without = await caller.call(tool, **asking(tool))
    tokens = [r.structured_content["usage"]["prompt_tokens"] for r in (with_file, without)]
    assert tokens[0] > tokens[1] + 15


@each_tool
@pytest.mark.parametrize(
    ("given", "code", "told"),
    [
        ("../secret.txt", "permission_denied", "--root"),
        ("{parent}/secret.txt", "permission_denied", "--root"),
        ("link.txt", "permission_denied", "--root"),
        ("latim.txt", "not_found", "latin.txt"),
        ("*.rst", "not_found", "**"),
        ("notes", "invalid_argument", "notes/**/*"),
        ("binary.bin", "invalid_argument", ""),
        ("red.png", "invalid_argument", "images"),
    ],
)
async def test_what_cannot_be_read_is_told_and_nothing_is_asked(
    caller: Caller, tape: Recorder, folder: Path, tool: str, given: str, code: str, told: str
) -> None:
    secret = folder.parent / "secret.txt"
    secret.write_text("The password is swordfish.")
    (folder / "link.txt").symlink_to(secret)
    (folder / "binary.bin").write_bytes(bytes(range(256)) * 8)
    (folder / "red.png").write_bytes(base64.b64decode(picture(255, 0, 0)))
    given = given.format(parent=folder.parent)
    error = await caller.error(tool, **asking(tool, files=["latin.txt", given]))
    assert error["code"] == code
    assert error["hint"]
    assert told in error["hint"]
    assert "swordfish" not in str(error)
    assert [seen.path for seen in tape.exchanges if seen.method == "POST"] == []


@each_tool
async def test_without_roots_no_file_is_read(url: str, folder: Path, tool: str) -> None:
    async with in_memory(url) as caller:
        error = await caller.error(tool, **asking(tool, files=[str(folder / "latin.txt")]))
    assert error["code"] == "permission_denied"
    assert "OLLAMA_MCP_ROOTS" in error["hint"]


@each_tool
async def test_a_folder_larger_than_the_window_is_read_whole(
    caller: Caller, folder: Path, tool: str
) -> None:
    """What its parts have in tokens, it has in all: nothing of it was dropped."""
    await caller.call("ollama_load", model=SMALL, keep_alive=0)
    for number in range(6):
        (folder / f"part{number}.log").write_text(
            "The quick brown fox jumps over the lazy dog.\n" * 8
        )
    counted = []
    for files in ([], ["part0.log"], ["part*.log"]):
        more = {"files": files} if files else {}
        result = await caller.call(tool, **asking(tool, model=SMALL, **more))
        assert not result.is_error, text(result)
        counted.append(result.structured_content["usage"]["prompt_tokens"])
    nothing, one, all_six = counted
    assert all_six > WINDOW
    assert abs(all_six - (nothing + 6 * (one - nothing))) < 6 * 20
    assert f"raised from {WINDOW} to" in str(result.structured_content["warnings"])


@each_tool
async def test_a_folder_larger_than_any_window_is_refused_with_the_numbers(
    url: str, folder: Path, tool: str
) -> None:
    (folder / "large.log").write_text("The quick brown fox jumps over the lazy dog.\n" * 150)
    async with in_memory(url, roots=(folder,), max_context=1024) as caller:
        error = await caller.error(tool, **asking(tool, model=SMALL, files="*.log"))
    assert error["code"] == "context_overflow"
    assert error["details"]["prompt_tokens"] > error["details"]["context"] == 1024
    assert "OLLAMA_MCP_MAX_CONTEXT" in error["hint"]
    assert "fox" not in str(error)


# pictures


@each_tool
@pytest.mark.parametrize("how", ["path", "base64", "data", "uri"])
async def test_a_picture_is_seen_however_it_is_given(
    caller: Caller, folder: Path, tool: str, how: str
) -> None:
    encoded = picture(255, 0, 0)
    (folder / "red.png").write_bytes(base64.b64decode(encoded))
    image = {
        "path": "red.png",
        "base64": encoded,
        "data": f"data:image/png;base64,{encoded}",
        "uri": (folder / "red.png").as_uri(),
    }[how]
    given = asking(tool, "Which colour is it?", model=models.VISION)
    if tool == "ollama_generate":
        given |= {"images": [image]}
    elif tool == "ollama_chat":
        given["messages"][0]["images"] = [image]
    else:
        parts = [{"type": "text", "text": "Which colour is it?"}]
        given["messages"] = [user([*parts, {"type": "image_url", "image_url": {"url": image}}])]
    result = await caller.call(tool, **given)
    assert not result.is_error, text(result)
    assert "red" in text(result).lower()
    assert encoded not in text(result)
