"""Jobs: work that outlasts the call it came with."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from ollama_mcp_server.delegation.jobs import Job, Jobs, current
from ollama_mcp_server.delegation.jobs import jobs as module
from ollama_mcp_server.errors import NotFound, RateLimited


async def answer() -> str:
    return "done"


class Work:
    """Work that ends when it is told to."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.cancelled = False
        self.job: Job | None = None

    async def __call__(self) -> str:
        self.job = current.get()
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        return "done"


async def begun(jobs: Jobs, owner: str = "me") -> tuple[Job, Work]:
    work = Work()
    job = await jobs.run("a_tool", owner, work, 0)
    assert isinstance(job, Job)
    return job, work


async def test_what_ends_in_time_is_no_job() -> None:
    jobs = Jobs()
    assert await jobs.run("a_tool", "me", answer, 10) == "done"
    assert jobs.of("me") == []


async def test_what_fails_in_time_raises() -> None:
    async def fail() -> None:
        raise NotFound("gone")

    with pytest.raises(NotFound):
        await Jobs().run("a_tool", "me", fail, 10)


async def test_what_takes_long_goes_on_and_is_found_by_its_handle() -> None:
    jobs = Jobs()
    job, work = await begun(jobs)
    assert work.job is job
    assert job.status == "running"
    assert jobs.find(job.handle, "me") is job
    assert not await job.wait(0)
    work.go.set()
    assert await job.wait(5)
    assert job.status == "done"
    assert job.result() == "done"
    assert current.get() is None


async def test_the_code_of_a_call_knows_no_job_of_another() -> None:
    assert current.get() is None
    await begun(Jobs())
    assert current.get() is None


async def test_a_caller_who_leaves_before_the_handle_stops_the_work() -> None:
    work = Work()
    call = asyncio.create_task(Jobs().run("a_tool", "me", work, 10))
    while work.job is None:  # noqa: ASYNC110 - a turn of the loop or two
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert work.cancelled


async def test_a_stopped_job_has_stopped() -> None:
    jobs = Jobs()
    job, work = await begun(jobs)
    await job.stop()
    assert work.cancelled
    assert job.status == "cancelled"
    await job.stop()  # twice does no harm


async def test_handles_are_long_and_belong_to_their_owner() -> None:
    jobs = Jobs()
    job, _ = await begun(jobs, "me")
    assert len(job.handle) >= 22
    for handle, owner in ((job.handle, "you"), ("job_guess", "me")):
        with pytest.raises(NotFound):
            jobs.find(handle, owner)
    assert jobs.of("you") == []
    assert jobs.of("me") == [job]
    await jobs.aclose()


async def test_only_so_many_run_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_RUNNING", 2)
    jobs = Jobs()
    began = [await begun(jobs) for _ in range(2)]
    with pytest.raises(RateLimited):
        await jobs.run("a_tool", "me", answer, 10)
    began[0][1].go.set()
    await began[0][0].wait(5)
    assert await jobs.run("a_tool", "me", answer, 10) == "done"
    await jobs.aclose()


@pytest.mark.parametrize(
    "forget", [lambda m: m.setattr(module, "KEPT", -1), lambda m: m.setattr(module, "MAX_KEPT", 0)]
)
async def test_results_are_kept_for_a_while_and_running_work_always(
    monkeypatch: pytest.MonkeyPatch, forget: Callable[[Any], None]
) -> None:
    jobs = Jobs()
    ended, work = await begun(jobs)
    runs, _ = await begun(jobs)
    work.go.set()
    await ended.wait(5)
    assert jobs.of("me") == [runs, ended]
    forget(monkeypatch)
    assert jobs.of("me") == [runs]
    await jobs.aclose()


async def test_the_end_of_the_server_stops_all() -> None:
    jobs = Jobs()
    began = [await begun(jobs) for _ in range(3)]
    await jobs.aclose()
    assert all(work.cancelled for _, work in began)
