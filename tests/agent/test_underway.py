"""Runs that wait for somebody's yes while no call is open."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from ollama_mcp_server.agent.events import Consent, Step
from ollama_mcp_server.agent.underway import Underway
from ollama_mcp_server.errors import NotFound
from ollama_mcp_server.progress import Progress

STEP = Step(1, "fs", "delete_file", {"path": "a"})


def asking() -> Underway[bool]:
    async def work(consent: Consent) -> bool:
        return await consent(STEP)

    return Underway(work, Progress(None, "working"))


@pytest.mark.parametrize("reply", [True, False])
async def test_a_run_asks_and_goes_on_with_the_answer(reply: bool) -> None:
    run = asking()
    assert await run.next() is STEP
    await run.answer(reply)
    assert await run.next() is reply


async def test_of_questions_at_once_each_has_its_own_answer() -> None:
    other = Step(1, "fs", "delete_file", {"path": "b"})

    async def work(consent: Consent) -> list[bool]:
        return list(await asyncio.gather(consent(STEP), consent(other)))

    run = Underway(work, Progress(None, "working"))
    assert await run.next() is STEP
    await run.answer(True)
    assert await run.next() is other
    await run.answer(False)
    assert await run.next() == [True, False]


async def test_what_a_run_raises_is_raised() -> None:
    async def work(_: Consent) -> None:
        raise NotFound("nothing is there")

    with pytest.raises(NotFound, match="nothing is there"):
        await Underway(work, Progress(None, "working")).next()


async def test_who_stops_waiting_stops_the_run() -> None:
    ended: list[str] = []

    async def work(_: Consent) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append("ended")

    run = Underway(work, Progress(None, "working"))
    with anyio.move_on_after(0.05):
        await run.next()
    assert ended == ["ended"]
