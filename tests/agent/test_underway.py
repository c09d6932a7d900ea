"""Runs that wait for somebody's yes while no call is open."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from ollama_mcp_server.agent import underway
from ollama_mcp_server.agent.events import Consent, Step
from ollama_mcp_server.agent.underway import Paused, Question, Underway
from ollama_mcp_server.errors import NotFound
from ollama_mcp_server.progress import Progress

STEP = Step(1, "fs", "delete_file", {"path": "a"})


def asking(ended: list[str] | None = None) -> Underway[bool]:
    async def work(consent: Consent) -> bool:
        try:
            return await consent(STEP)
        finally:
            if ended is not None:
                ended.append("ended")

    return Underway(work, Progress(None, "working"))


@pytest.mark.parametrize("reply", [True, False])
async def test_a_run_asks_and_goes_on_with_the_answer(reply: bool) -> None:
    run = asking()
    question = await run.next()
    assert isinstance(question, Question)
    assert question.step is STEP
    question.reply.set_result(reply)
    assert await run.next() is reply


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


async def test_a_paused_run_is_its_owners_and_is_taken_once() -> None:
    run, paused = asking(), Paused()
    question = await run.next()
    assert isinstance(question, Question)
    handle = paused.keep(run, question, "me")
    for wrong, owner in ((handle, "you"), ("run_guess", "me"), (None, "me")):
        with pytest.raises(NotFound):
            paused.take(wrong, owner)
    assert paused.take(handle, "me") == (run, question)
    with pytest.raises(NotFound, match="is over"):
        paused.take(handle, "me")
    await run.stop()


async def test_a_run_that_nobody_answers_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "PATIENCE", 0.01)
    ended = asyncio.Event()

    async def work(consent: Consent) -> None:
        try:
            await consent(STEP)
        finally:
            ended.set()

    run, paused = Underway(work, Progress(None, "working")), Paused()
    question = await run.next()
    assert isinstance(question, Question)
    handle = paused.keep(run, question, "")
    with anyio.fail_after(5):
        await ended.wait()
    with pytest.raises(NotFound):
        paused.take(handle, "")


async def test_the_oldest_makes_room_and_the_end_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(underway, "MOST", 2)
    ended: list[str] = []
    paused, handles = Paused(), []
    for _ in range(3):
        run = asking(ended)
        question = await run.next()
        assert isinstance(question, Question)
        handles.append(paused.keep(run, question, ""))
    with pytest.raises(NotFound):
        paused.take(handles[0], "")
    await paused.aclose()
    assert ended == ["ended"] * 3
