"""What a request reads before a model is asked, and where it is put."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from ollama_mcp_server.app import App
from ollama_mcp_server.errors import InvalidArgument, NotFound, PermissionDenied
from ollama_mcp_server.tools._inputs import read_inputs
from tests.conftest import MakeApp
from tests.tools.test_chat import RED

A = "===== a.txt\nAlpha\n===== end of files\n\n"
B = "===== b.txt\nBeta\n===== end of files\n\n"
URI = f"data:image/png;base64,{RED}"


def user(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


@pytest.fixture
def app(make_app: MakeApp, tmp_path: Path) -> App:
    (tmp_path / "a.txt").write_text("Alpha")
    (tmp_path / "b.txt").write_text("Beta")
    (tmp_path / "red.png").write_bytes(base64.b64decode(RED))
    return make_app(roots=(tmp_path,))


async def test_nothing_to_read_changes_nothing(app: App) -> None:
    for body in ({"messages": [user("Hi")]}, {"prompt": "Hi", "images": None}, {"messages": []}):
        before = repr(body)
        for files in (None, []):
            assert await read_inputs(app, body, files) == []
        assert repr(body) == before


async def test_files_come_before_the_prompt(app: App) -> None:
    body = {"prompt": "Why?", "system": "s"}
    assert await read_inputs(app, body, ["a.txt"]) == []
    assert body == {"prompt": f"{A}Why?", "system": "s"}


async def test_files_come_before_the_newest_message(app: App) -> None:
    given = [user("Hi"), {"role": "assistant", "content": "Ho"}, user("Why?", images=[RED])]
    body: dict[str, Any] = {"messages": given}
    await read_inputs(app, body, ["b.txt"])
    assert body["messages"] == [*given[:2], user(f"{B}Why?", images=[RED])]
    assert given[2]["content"] == "Why?"


@pytest.mark.parametrize("last", [[], [{"role": "system", "content": "s"}],
                                  [user("Hi"), {"role": "tool", "content": "22 C"}]])  # fmt: skip
async def test_files_after_anothers_message_are_one_of_the_user(
    app: App, last: list[dict[str, Any]]
) -> None:
    body: dict[str, Any] = {"messages": last}
    await read_inputs(app, body, ["a.txt"])
    assert body["messages"] == [*last, user(A)]


async def test_all_files_stand_within_one_fence(app: App) -> None:
    body = {"prompt": "Why?"}
    await read_inputs(app, body, ["*.txt"])
    assert body["prompt"] == f"{A.rpartition('=====')[0]}{B}Why?"


@pytest.mark.parametrize(
    "given", ["red.png", RED, URI, "{folder}/red.png", "file://{folder}/red.png"]
)
async def test_pictures_of_a_prompt_and_of_each_message(
    app: App, tmp_path: Path, given: str
) -> None:
    given = given.format(folder=tmp_path)
    prompt: dict[str, Any] = {"prompt": "Why?", "images": [given]}
    chat: dict[str, Any] = {
        "messages": [user("One", images=[given]), user("Two", images=[given, RED]), user("Three")]
    }
    for body in (prompt, chat):
        assert await read_inputs(app, body, None) == []
    assert prompt["images"] == [RED]
    assert [m.get("images") for m in chat["messages"]] == [[RED], [RED, RED], None]


async def test_pictures_and_files_together(app: App) -> None:
    body: dict[str, Any] = {"messages": [user("Why?", images=["red.png"])]}
    await read_inputs(app, body, ["a.txt"])
    assert body["messages"] == [user(f"{A}Why?", images=[RED])]


@pytest.mark.parametrize(
    ("body", "files", "error"),
    [
        ({"prompt": "Why?"}, ["../x.txt"], PermissionDenied),
        ({"prompt": "Why?"}, ["a.txt", "c.txt"], NotFound),
        ({"prompt": "Why?"}, ["red.png"], InvalidArgument),
        ({"prompt": "Why?", "images": ["a.txt"]}, None, InvalidArgument),
        ({"messages": [user("Why?", images=["/etc/hostname"])]}, None, PermissionDenied),
        ({"messages": [user("Why?", images=["https://x.example/a.png"])]}, None, PermissionDenied),
    ],
)
async def test_what_cannot_be_read(
    app: App, body: dict[str, Any], files: list[str] | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await read_inputs(app, body, files)


async def test_without_folders_only_what_is_sent_is_taken(make_app: MakeApp) -> None:
    app = make_app()
    body: dict[str, Any] = {"prompt": "Why?", "images": [RED]}
    assert await read_inputs(app, body, None) == []
    for more, files in (({}, ["a.txt"]), ({"images": ["red.png"]}, None)):
        with pytest.raises(PermissionDenied) as refused:
            await read_inputs(app, {"prompt": "Why?", **more}, files)
        assert "--root" in refused.value.hint


async def test_what_was_done_to_a_picture_is_told(app: App, tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (3000, 1000)).save(tmp_path / "wide.png")
    body: dict[str, Any] = {"messages": [user("Why?", images=["wide.png"])]}
    (told,) = await read_inputs(app, body, None)
    assert told == "wide.png was scaled from 3000×1000 to 1536×512"
