"""The JSON Lines file of a batch: whole after any end of its process."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from ollama_mcp_server.delegation.batch.journal import Journal, digest, encode, open_journal
from ollama_mcp_server.errors import Conflict, ToolFailed

ITEMS = [f"text {number}" for number in range(10)]
REQUEST = {"prompt": "Summarise {item}", "format": {"type": "object"}, "system": None}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def opened(
    path: Path,
    *,
    items: list[Any] = ITEMS,
    models: tuple[str, ...] = ("a",),
    request: dict[str, Any] = REQUEST,
) -> Journal:
    return open_journal(partial(plain, path), path.name, models, request, items)


def plain(path: Path, mode: str) -> BinaryIO:
    return path.open(mode)  # type: ignore[return-value]


def line(index: int, model: str = "a", **more: Any) -> dict[str, Any]:
    said = {"content": f"answer {index}", **more} if "error" not in more else more
    return {"index": index, "model": model, "digest": digest(ITEMS[index]), **said}


def written(path: Path, *indexes: int) -> None:
    with opened(path) as journal:
        for index in indexes:
            journal.write(line(index))


def done(path: Path, **more: Any) -> list[int]:
    with opened(path, **more) as journal:
        return [result["index"] for result in journal.done]


def test_results_are_there_for_the_next_run(path: Path) -> None:
    written(path, 0, 3)
    written(path, 1)
    assert done(path) == [0, 3, 1]
    header, *lines = map(json.loads, path.read_text().splitlines())
    assert header == {"ollama_batch": 1, "models": ["a"], "prompt": digest(REQUEST["prompt"]),
                      "format": digest(REQUEST["format"])}  # fmt: skip
    assert [result["content"] for result in lines] == ["answer 0", "answer 3", "answer 1"]


def test_a_line_is_in_the_file_as_soon_as_it_is_written(path: Path) -> None:
    with opened(path) as journal:
        journal.write(line(0))
        assert json.loads(path.read_bytes().splitlines()[-1])["index"] == 0


def test_neither_prompt_nor_schema_stand_in_the_file(path: Path) -> None:
    written(path)
    assert "Summarise" not in path.read_text()


def test_a_line_cut_at_any_byte_is_taken_off(path: Path) -> None:
    written(path, 0, 1)
    whole = path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    for cut in range(1, len(last)):
        path.write_bytes(whole[:-cut])
        assert done(path) == [0]
        assert path.read_bytes() == whole[: -len(last)]


def test_a_first_line_cut_at_any_byte_is_written_anew(path: Path) -> None:
    written(path)
    header = path.read_bytes()
    for cut in range(len(header)):
        path.write_bytes(header[:cut])
        assert done(path) == []
        assert path.read_bytes() == header


def test_failures_are_taken_off_and_tried_again(path: Path) -> None:
    with opened(path) as journal:
        for index in (0, 1):
            journal.write(line(index))
        for index in (2, 3):
            journal.write(line(index, error={"code": "timeout"}))
    assert done(path) == [0, 1]
    assert "timeout" not in path.read_text()


def test_further_items_may_be_added(path: Path) -> None:
    written(path, 0)
    assert done(path, items=[*ITEMS, "one more"]) == [0]


def test_each_model_has_its_own_results(path: Path) -> None:
    with opened(path, models=("a", "b")) as journal:
        journal.write(line(0, "a"))
        journal.write(line(0, "b"))
    with opened(path, models=("a", "b")) as journal:
        assert [(found["model"], found["index"]) for found in journal.done] == [("a", 0), ("b", 0)]


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"request": {**REQUEST, "prompt": "Translate {item}"}}, "prompt differs"),
        ({"request": {**REQUEST, "format": {"type": "array"}}}, "format differs"),
        ({"request": {**REQUEST, "system": "Be brief", "format": None}}, "format"),
        ({"request": {**REQUEST, "options": {"seed": 1}}}, "options differs"),
        ({"models": ("b",)}, "is a batch of a"),
        ({"items": ["text 0 changed", *ITEMS[1:]]}, "item 0 is not the one"),
        ({"items": []}, "more items than were given"),
    ],
)
def test_another_batch_is_refused(path: Path, other: dict[str, Any], told: str) -> None:
    written(path, 0)
    before = path.read_bytes()
    with pytest.raises(Conflict, match=told) as caught:
        opened(path, **other)
    assert "another output" in caught.value.hint
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"notes\n", b"notes", b"{}\n", b'{"a": 1}\n', b'{"ollama_batch": 1}\n',
                b'{"ollama_batch":9}\n', b'{"ollama_batch":1,"x', b"\xff\xfe\n", b"\0" * 99]
)  # fmt: skip
def test_a_file_that_is_no_batch_is_left_alone(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(Conflict):
        opened(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "wrong", [b"no json\n", b"[]\n", b'{"index":0}\n', encode(line(1)), encode(line(1, "other"))]
)
def test_a_line_that_is_none_of_ours_is_told(path: Path, wrong: bytes) -> None:
    written(path, 1)
    path.write_bytes(path.read_bytes() + wrong)
    with pytest.raises(Conflict):
        opened(path)


def test_two_at_once_are_refused(path: Path) -> None:
    with opened(path), pytest.raises(Conflict, match="another batch is writing"):
        opened(path)
    assert done(path) == []


def test_a_killed_process_leaves_no_lock(path: Path) -> None:
    child = (
        "import sys, time; from pathlib import Path\n"
        "from tests.delegation.batch.test_journal import *\n"
        f"journal = opened(Path({str(path)!r})); journal.write(line(0))\n"
        "print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        with pytest.raises(Conflict):
            opened(path)
        process.send_signal(signal.SIGKILL)
    assert done(path) == [0]


def test_a_file_that_was_replaced_meanwhile_is_not_written(path: Path, tmp_path: Path) -> None:
    def replaced(mode: str) -> BinaryIO:
        if mode == "rb":
            (tmp_path / "other").write_bytes(b"")
            (tmp_path / "other").replace(path)
        return plain(path, mode)

    with pytest.raises(Conflict, match="replaced"):
        open_journal(replaced, path.name, ["a"], REQUEST, ITEMS)


def test_a_full_disk_is_told_and_harms_nothing(path: Path) -> None:
    written(path, 0)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        with opened(path) as journal:
            resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 20, limits[1]))
            with pytest.raises(ToolFailed, match="could not be written"):
                journal.write(line(1))
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            assert path.read_bytes() == before
            journal.write(line(2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert done(path) == [0, 2]


def test_what_is_not_valid_unicode_is_still_a_line(path: Path) -> None:
    text = "lone \ud800, line\u2028break, é"
    with opened(path) as journal:
        journal.write(line(0, content=text))
    assert path.read_bytes().count(b"\n") == 2
    with opened(path) as journal:
        assert journal.done[0]["content"] == text


def test_the_order_of_keys_makes_no_other_item() -> None:
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1}) != digest({"a": 2, "b": 1})
    assert len(digest("x")) == 16
