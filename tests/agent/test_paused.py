"""Runs that wait for somebody's yes while no call is open."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import anyio
import pytest

from ollama_mcp_server.agent import paused as module
from ollama_mcp_server.agent.events import Consent, Step
from ollama_mcp_server.agent.paused import Paused
from ollama_mcp_server.agent.underway import Underway
from ollama_mcp_server.delegation.memory.board import Board
from ollama_mcp_server.errors import NotFound
from ollama_mcp_server.progress import Progress
from tests.delegation.memory.opening import opened

STEP = Step(1, "fs", "delete_file", {"path": "a"})


async def asked(ended: list[str] | None = None) -> Underway[bool]:
    """Return a run that waits for an answer."""

    async def work(consent: Consent) -> bool:
        try:
            return await consent(STEP)
        finally:
            if ended is not None:
                ended.append("ended")

    run = Underway(work, Progress(None, "working"))
    assert await run.next() is STEP
    return run


async def test_a_paused_run_is_its_owners_and_is_taken_once() -> None:
    run, paused = await asked(), Paused()
    handle = await paused.keep(run, "me")
    for wrong, owner in ((handle, "you"), ("run_guess", "me"), (None, "me")):
        with pytest.raises(NotFound):
            await paused.take(wrong, owner)
    assert await paused.take(handle, "me") is run
    with pytest.raises(NotFound, match="is over"):
        await paused.take(handle, "me")
    await run.stop()


async def test_a_run_that_nobody_answers_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.01)
    ended: list[str] = []
    run, paused = await asked(ended), Paused()
    handle = await paused.keep(run, "")
    with anyio.fail_after(5):
        while not ended:  # noqa: ASYNC110 - a turn of the loop or two
            await asyncio.sleep(0.01)
    with pytest.raises(NotFound):
        await paused.take(handle, "")


async def test_the_oldest_makes_room_and_the_end_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    ended: list[str] = []
    paused = Paused()
    handles = [await paused.keep(await asked(ended), "") for _ in range(3)]
    with pytest.raises(NotFound):
        await paused.take(handles[0], "")
    await paused.aclose()
    assert ended == ["ended"] * 3


# py-key-value-aio 0.4 calls it, redis 8 would have it call another
@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
async def test_who_leaves_before_the_question_is_asked_stops_the_run(tmp_path: Path) -> None:
    """The store does not answer at once."""
    ended: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as unheard:
        state = opened(f"redis://127.0.0.1:{unheard.getsockname()[1]}", tmp_path)
        paused = Paused(Board(lambda: state, "runs", is_listed=False))
        run = await asked(ended)
        with anyio.move_on_after(0.2) as scope:
            await paused.keep(run, "")
        assert scope.cancelled_caught
        await paused.aclose()
        assert ended == ["ended"]
        await state.aclose()
