"""What processes that share a state tell one another; each has a state of its own here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest

from ollama_mcp_server.delegation.memory import board as module
from ollama_mcp_server.delegation.memory.board import Board, Entry
from ollama_mcp_server.delegation.memory.tending import Tending
from ollama_mcp_server.errors import OllamaMCPError
from tests.delegation.memory.opening import opened

HANDLE, OTHER = "job_" + "a" * 22, "job_" + "b" * 22
ME = "me"


def board(folder: Path, **more: Any) -> Board:
    """Return a process's view of the state in a folder."""
    return Board(lambda: opened("disk", folder), "jobs", **more)


@pytest.fixture
def here(tmp_path: Path) -> Board:
    return board(tmp_path)


@pytest.fixture
def there(tmp_path: Path) -> Board:
    return board(tmp_path)


class Work:
    """Work that ends when it is told to."""

    handle, owner = HANDLE, ME

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.task = asyncio.create_task(self.go.wait())
        self.messages: list[dict[str, Any]] = []
        self.is_gone = False

    def told(self) -> dict[str, Any] | None:
        return None if self.is_gone else {"done": self.task.done()}

    def text(self) -> str:
        return "all of it" if self.task.done() else "a part"

    def heard(self, message: dict[str, Any]) -> None:
        self.messages.append(message)


@pytest.fixture
async def work() -> AsyncIterator[Work]:
    made = Work()
    yield made
    made.go.set()
    await made.task


async def entry_of(board: Board, *, is_over: bool) -> Entry:
    """Return an entry once it is, or is not, over."""
    with anyio.fail_after(10):
        while True:
            entry = await board.read(HANDLE, ME)
            if entry is not None and entry.is_over == is_over:
                return entry
            await asyncio.sleep(0.01)


async def test_an_entry_is_its_owners(here: Board, there: Board) -> None:
    await here.write(HANDLE, ME, {"tool": "x"}, "a part", is_over=False)
    found = await there.read(HANDLE, ME)
    assert found is not None
    assert (found.told, found.is_over) == ({"tool": "x"}, False)
    for wrong, owner in (
        (HANDLE, "you"), (OTHER, ME), ("x", ME), (f"{HANDLE}:text", ME), ("../" + HANDLE, ME),
    ):  # fmt: skip
        assert await there.read(wrong, owner) is None


async def test_a_text_is_whole_or_not(here: Board, there: Board) -> None:
    await here.write(HANDLE, ME, {}, "a part \ud800", is_over=False)
    assert await there.text(HANDLE, is_over=False) == "a part \ud800"
    assert await there.text(HANDLE, is_over=True) is None
    await here.write(HANDLE, ME, {}, "all", is_over=True)
    assert await there.text(HANDLE, is_over=True) == "all"
    assert await there.text(HANDLE, is_over=False) is None


async def test_a_text_that_is_too_long_is_not_shared(
    here: Board, there: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 10)
    await here.write(HANDLE, ME, {"tool": "x"}, "x" * 11, is_over=True)
    found = await there.read(HANDLE, ME)
    assert found is not None
    assert found.is_over
    assert await there.text(HANDLE, is_over=True) is None


async def test_a_list_is_its_owners_and_names_what_another_process_dropped(
    here: Board, there: Board
) -> None:
    await here.write(HANDLE, ME, {"n": 1}, "", is_over=False)
    await there.write(OTHER, ME, {"n": 2}, "", is_over=False)
    assert {h: e.told for h, e in (await here.listed(ME)).items()} == {
        HANDLE: {"n": 1},
        OTHER: {"n": 2},
    }
    assert await here.listed("you") == {}
    await here.drop(HANDLE)
    assert list(await there.listed(ME)) == [OTHER]
    await here.write(HANDLE, ME, {"n": 3}, "", is_over=True)
    assert len(await there.listed(ME)) == 2


async def test_a_list_is_bounded_and_forgets_what_has_expired(
    here: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    handles = [f"job_{letter * 22}" for letter in "abc"]
    for handle in handles:
        await here.write(handle, ME, {}, "", is_over=False)
    assert list(await here.listed(ME)) == handles[1:]
    monkeypatch.setattr(module, "MOST", 9)
    monkeypatch.setattr(module, "KEPT", -1)
    await here.drop(handles[1])
    await here.write(handles[0], ME, {}, "", is_over=False)
    assert set(await here.listed(ME)) == {handles[0], handles[2]}


async def test_a_message_is_received_once(here: Board, there: Board) -> None:
    assert await here.receive(HANDLE) is None
    await there.send(HANDLE, {"stop": True})
    assert await here.receive(HANDLE) == {"stop": True}
    assert await here.receive(HANDLE) is None


async def test_work_is_followed_to_its_end(tmp_path: Path, there: Board, work: Work) -> None:
    tending = Tending(board(tmp_path, beat=0.05))
    await tending.begin(work)
    seen: list[bool] = []
    last = await there.follow(HANDLE, ME, 0, lambda entry: seen.append(entry.told["done"]))
    assert last is not None
    assert seen == [False]
    assert await there.text(HANDLE, is_over=False) == "a part"
    await there.send(HANDLE, {"stop": True})
    with anyio.fail_after(10):
        while not work.messages:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert work.messages == [{"stop": True}]
    asyncio.get_running_loop().call_later(0.1, work.go.set)
    last = await there.follow(HANDLE, ME, 20, lambda entry: None)
    assert last is not None
    assert last.is_over
    assert last.told == {"done": True}
    assert await there.text(HANDLE, is_over=True) == "all of it"
    await tending.aclose()


async def test_work_that_nobody_else_may_see_any_more_is_taken_away(
    here: Board, there: Board, work: Work
) -> None:
    tending = Tending(here)
    await tending.begin(work)
    work.is_gone = True
    work.go.set()
    await tending.aclose()
    assert await there.follow(HANDLE, ME, 20, lambda entry: None) is None


async def test_a_process_that_has_ended_is_noticed(tmp_path: Path, here: Board) -> None:
    await here.write(HANDLE, ME, {}, "", is_over=False)
    there = board(tmp_path, lost=0.1)
    last = await there.follow(HANDLE, ME, 20, lambda entry: None)
    assert last is not None
    assert last.is_lost
    await here.write(HANDLE, ME, {}, "", is_over=True)
    await asyncio.sleep(0.15)
    last = await there.read(HANDLE, ME)
    assert last is not None
    assert not last.is_lost, "what has ended is not lost"


def test_a_clock_that_is_ahead_makes_nothing_lost() -> None:
    assert not Entry({}, time.time() + 60, False).is_lost
    assert Entry({}, time.time() - 60, False).is_lost


async def test_following_lasts_through_a_moment_without_the_store(
    tmp_path: Path, here: Board, there: Board
) -> None:
    await here.write(HANDLE, ME, {}, "", is_over=False)
    assert (await entry_of(there, is_over=False)).told == {}
    (file,) = (tmp_path / "store").rglob(f"{HANDLE}.json")
    whole = file.read_text()
    file.write_text("{")
    with pytest.raises(OllamaMCPError, match="damaged"):
        await there.follow(HANDLE, ME, 0, lambda entry: None)
    following = asyncio.create_task(there.follow(HANDLE, ME, 20, lambda entry: None))
    await asyncio.sleep(0.1)
    file.write_text(whole)
    await here.write(HANDLE, ME, {}, "", is_over=True)
    last = await following
    assert last is not None
    assert last.is_over
    file.write_text("{")
    with pytest.raises(OllamaMCPError, match="damaged"):
        await board(tmp_path, lost=0.1).follow(HANDLE, ME, 20, lambda entry: None)


# py-key-value-aio 0.4 calls it, redis 8 would have it call another
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
@pytest.mark.parametrize("url", ["redis://127.0.0.1:1", "nonsense"])
async def test_without_the_store_work_goes_on(tmp_path: Path, work: Work, url: str) -> None:
    tending = Tending(Board(lambda: opened(url, tmp_path), "jobs", beat=0.05))
    with anyio.fail_after(10):
        await tending.begin(work)
        assert not work.task.done()
        await asyncio.sleep(0.1)
        work.go.set()
        await tending.aclose()
    assert work.task.done()
