"""Jobs of another process that shares a state; each has a state of its own here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from fastmcp.tools import ToolResult

from ollama_mcp_server.delegation.jobs import Elsewhere, Job, Jobs, current
from ollama_mcp_server.delegation.memory import board as module
from ollama_mcp_server.delegation.memory.board import Board
from ollama_mcp_server.errors import NotFound, OllamaMCPError, ServerDown, TooLarge
from ollama_mcp_server.progress import Progress
from tests.delegation.memory.opening import opened


class Work:
    """Work that ends when it is told to, and tells how far it is."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.cancelled = False

    async def __call__(self) -> ToolResult:
        job = current.get()
        assert job is not None
        job.progress = Progress(None, "writing")
        job.progress.so_far = lambda: "Half an"
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return ToolResult(content="Half an answer", structured_content={"content": "…"})


def jobs(folder: Path, **more: Any) -> Jobs:
    """Return the jobs of a process."""
    return Jobs(Board(lambda: opened("disk", folder), "jobs", **{"beat": 0.05, **more}))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Jobs]:
    made = jobs(tmp_path)
    yield made
    await made.aclose()


@pytest.fixture
async def there(tmp_path: Path) -> AsyncIterator[Jobs]:
    made = jobs(tmp_path)
    yield made
    await made.aclose()


async def begun(jobs: Jobs, owner: str = "me") -> tuple[Job, Work]:
    work = Work()
    job = await jobs.run("a_tool", owner, work, 0.05)
    assert isinstance(job, Job)
    return job, work


async def test_it_is_waited_for(here: Jobs, there: Jobs) -> None:
    job, work = await begun(here)
    found = await there.found(job.handle, "me")
    assert isinstance(found, Elsewhere)
    assert (found.tool, found.status, found.progress.message) == ("a_tool", "running", "writing")
    assert found.progress.so_far() == "Half an"
    assert not await found.wait(0.1)
    asyncio.get_running_loop().call_later(0.1, work.go.set)
    assert await found.wait(20)
    assert found.status == "done"
    result = found.result()
    assert isinstance(result, ToolResult)
    assert result.structured_content == {"content": "…"}
    again = await there.found(job.handle, "me")
    assert again.result() == result
    assert await here.found(job.handle, "me") is job


async def test_it_is_its_owners(here: Jobs, there: Jobs) -> None:
    job, _ = await begun(here)
    for handle, owner in ((job.handle, "you"), ("job_" + "x" * 22, "me"), ("../x", "me")):
        with pytest.raises(NotFound, match="no such job"):
            await there.found(handle, owner)
    assert await there.elsewhere("you") == []


async def test_all_are_listed_the_newest_first(here: Jobs, there: Jobs) -> None:
    mine = [(await begun(here))[0].handle for _ in range(2)]
    other = (await begun(there))[0].handle
    assert [job.handle for job in await there.elsewhere("me")] == mine[::-1]
    assert [job.handle for job in await here.elsewhere("me")] == [other]


async def test_it_is_cancelled(here: Jobs, there: Jobs) -> None:
    job, work = await begun(here)
    found = await there.found(job.handle, "me")
    await found.stop()
    assert work.cancelled
    assert (found.status, job.status) == ("cancelled", "cancelled")
    assert found.progress is not None
    assert found.progress.so_far() == "Half an", "what there is of it can still be read"
    await found.stop()  # twice does no harm


async def test_it_can_be_stopped_where_it_is_as_ever(here: Jobs, there: Jobs) -> None:
    job, _ = await begun(here)
    await job.stop()
    found = await there.found(job.handle, "me")
    assert isinstance(found, Elsewhere)
    assert await found.wait(20)
    assert found.status == "cancelled"


# the disk's store leaves a file to the collector where a read of it is cancelled
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_waiting_is_cancelled_without_the_work(here: Jobs, there: Jobs) -> None:
    job, work = await begun(here)
    found = await there.found(job.handle, "me")
    with anyio.move_on_after(0.1) as scope:
        await found.wait(20)
    assert scope.cancelled_caught
    assert job.status == "running"
    assert not work.cancelled


async def test_what_failed_is_told(here: Jobs, there: Jobs) -> None:
    go = asyncio.Event()

    async def fail() -> None:
        await go.wait()
        raise TooLarge("it was too much", "Send less")

    job = await here.run("a_tool", "me", fail, 0)
    found = await there.found(job.handle, "me")
    go.set()
    assert await found.wait(20)
    assert found.result().structured_content["error"]["code"] == "too_large"


async def test_a_result_that_is_too_large_stays_where_it_is(
    here: Jobs, there: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGEST", 20)
    job, work = await begun(here)
    work.go.set()
    found = await there.found(job.handle, "me")
    assert await found.wait(20)
    with pytest.raises(TooLarge, match="another"):
        found.result()
    assert (await here.found(job.handle, "me")).result()


async def test_the_end_of_its_server_is_told_at_once(here: Jobs, there: Jobs) -> None:
    running, _ = await begun(here)
    done, work = await begun(here)
    work.go.set()
    await done.wait(5)
    await here.aclose()
    with pytest.raises(ServerDown, match="has ended") as caught:
        await there.found(running.handle, "me")
    assert caught.value.retryable
    assert "a_tool" in caught.value.hint
    assert {job.handle: job.status for job in await there.elsewhere("me")} == {
        running.handle: "lost",
        done.handle: "done",
    }
    assert (await there.found(done.handle, "me")).result(), "results outlive their server"


async def test_a_server_that_ended_without_a_word_is_noticed(here: Jobs, tmp_path: Path) -> None:
    there = jobs(tmp_path, lost=0.1)
    board = Board(lambda: opened("disk", tmp_path), "jobs")
    job = Job("a_tool", "me")
    await board.write(job.handle, "me", job.told(), "", is_over=False)  # and no word more
    found = Elsewhere(board, job.handle, "me")
    assert not await found.wait(0)
    await asyncio.sleep(0.15)
    assert [found.status for found in await there.elsewhere("me")] == ["lost"]
    with pytest.raises(ServerDown):
        await there.found(job.handle, "me")


async def test_a_caller_who_leaves_before_the_handle_stops_the_work(here: Jobs) -> None:
    work = Work()
    with anyio.move_on_after(0.2) as scope:
        await here.run("a_tool", "me", work, 10)
    assert scope.cancelled_caught
    assert work.cancelled
    assert here.of("me") == []


# py-key-value-aio 0.4 calls it, redis 8 would have it call another
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
async def test_without_the_store_a_process_has_its_own_jobs(tmp_path: Path) -> None:
    alone = Jobs(Board(lambda: opened("redis://127.0.0.1:1", tmp_path), "jobs", beat=0.05))
    job, work = await begun(alone)
    assert await alone.found(job.handle, "me") is job
    for attempt in (alone.elsewhere("me"), alone.found("job_" + "x" * 22, "me")):
        with pytest.raises(OllamaMCPError, match="nothing answers"):
            await attempt
    work.go.set()
    assert await job.wait(5)
    assert job.result()
    await alone.aclose()
