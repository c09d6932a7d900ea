"""The thread that works and the thread that asks: events, consent, breaking off, the end."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from ollama_mcp_server.agent.events import Ended, Event, Run, Said, Step, Task
from ollama_mcp_server.commands._engine import Engine, Note, Question
from ollama_mcp_server.errors import NotFound
from ollama_mcp_server.progress import Progress
from ollama_mcp_server.settings import Settings

Consent = Callable[[Step], Awaitable[bool]]
STEP = Step(1, "fs", "delete", {"path": "/a"})


class Agent:
    """Says a word, asks for consent, waits if it is told to, and ends with the consent."""

    def __init__(self, *, waits: bool = False, error: Exception | None = None) -> None:
        self.waits, self.error, self.closed = waits, error, threading.Event()

    async def run(
        self, task: Task, progress: Progress, consent: Consent | None = None
    ) -> AsyncIterator[Event]:
        try:
            yield Said(content="word")
            if self.error:
                raise self.error
            agreed = consent is not None and await consent(STEP)
            if self.waits:
                await asyncio.sleep(3600)
            yield Ended(Run(answer=str(agreed)))
        finally:
            await asyncio.sleep(0.01)  # letting go takes a moment, and is waited for
            self.closed.set()


def engine_with(agent: Agent) -> Engine:
    engine = Engine(Settings())
    engine.app.__dict__["agent"] = agent
    return engine


@pytest.mark.parametrize("agreed", [True, False])
def test_the_user_is_asked_in_the_main_thread_while_the_work_waits(agreed: bool) -> None:
    seen: list[Any] = []

    def show(event: Any) -> None:
        seen.append(event)
        assert threading.current_thread() is threading.main_thread()
        if isinstance(event, Question):
            assert event.step is STEP
            event.answer(agreed=agreed)

    with engine_with(Agent()) as engine:
        run = engine.run(Task([]), show, can_ask=True)
    assert run.answer == str(agreed)
    kinds = [type(event) for event in seen if not isinstance(event, Note)]
    assert kinds == [Said, Question, Ended]


def test_where_nobody_can_be_asked_there_is_no_consent() -> None:
    with engine_with(Agent()) as engine:
        assert engine.run(Task([]), lambda _: None, can_ask=False).answer == "False"


def test_an_error_rises_in_the_main_thread() -> None:
    with engine_with(Agent(error=NotFound("nothing there"))) as engine:
        with pytest.raises(NotFound, match="nothing there"):
            engine.run(Task([]), lambda _: None, can_ask=False)
        assert engine.app.agent.closed.is_set()


@pytest.mark.parametrize(
    ("number", "kind"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, SystemExit)]
)
def test_a_signal_stops_the_work_and_rises_once_it_has_let_go(
    number: int, kind: type[BaseException]
) -> None:
    agent = Agent(waits=True)

    def show(event: Any) -> None:
        if isinstance(event, Said):
            os.kill(os.getpid(), number)

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with engine_with(agent) as engine:
        with pytest.raises(kind):
            engine.run(Task([]), show, can_ask=False)
        assert agent.closed.is_set()
        agent.waits = False
        assert engine.run(Task([]), lambda _: None, can_ask=False).answer == "False", "it goes on"
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_question_that_nobody_waits_for_any_more_can_still_be_answered() -> None:
    question = Question(STEP)
    assert question.agreed.cancel()
    question.answer(agreed=True)


def test_the_app_is_closed_in_the_loop_that_opened_it() -> None:
    threads: list[threading.Thread] = []

    class Hub:
        async def aclose(self) -> None:
            threads.append(threading.current_thread())

    async def here(_: Any) -> threading.Thread:
        return threading.current_thread()

    engine = Engine(Settings())
    engine.app.__dict__["hub"] = Hub()
    with engine:
        worker = engine.do(here, lambda _: None)
    assert threads == [worker]
    assert worker is not threading.main_thread()
    assert not worker.is_alive()
