"""The App at work in a thread of its own, so that the main thread is free to ask the user.

Signals come to the main thread, and so does Ctrl-C: it breaks off what is waited for here, and
with that the work there.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from contextlib import aclosing
from dataclasses import dataclass, field
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

from ..agent.events import Ended, Run, Step, Task
from ..app import App
from ..progress import Progress

if TYPE_CHECKING:
    from ..settings import Settings

T = TypeVar("T")
#: Takes what happens, from the thread that works to the one that shows.
Emit = Callable[[Any], None]


@dataclass(frozen=True)
class Note:
    """What is waited for."""

    message: str


@dataclass(frozen=True)
class Question:
    """Whether a call that may destroy is to be made; the work waits for `agreed`."""

    step: Step
    agreed: Future[bool] = field(default_factory=Future)

    def answer(self, *, agreed: bool) -> None:
        """Let the work go on, if it still waits."""
        if self.agreed.set_running_or_notify_cancel():
            self.agreed.set_result(agreed)


class Engine:
    """An App at work, as a context manager; what it opened is closed at the end."""

    def __init__(self, settings: Settings) -> None:
        self.app = App(settings)
        self._begun = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._live()), daemon=True)

    def __enter__(self) -> Engine:
        self._before = {
            signal.SIGINT: signal.signal(signal.SIGINT, signal.default_int_handler),
            signal.SIGTERM: signal.signal(signal.SIGTERM, _leave),
        }
        self._thread.start()
        self._begun.wait()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():  # who is in a hurry need not wait for it
            signal.signal(number, handler)
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()

    def do(self, work: Callable[[Emit], Coroutine[Any, Any, T]], show: Emit) -> T:
        """Return what comes of `work`; what it emits meanwhile is shown in this thread.

        Ctrl-C stops the work, waits until it has let go of everything, and then rises. Once more
        meanwhile, it does what it did before this engine was at work: it ends the process.
        """
        happened: SimpleQueue[Any] = SimpleQueue()
        end = object()

        async def begin() -> asyncio.Task[T]:
            task = asyncio.create_task(work(happened.put))
            task.add_done_callback(lambda _: happened.put(end))
            return task

        task = asyncio.run_coroutine_threadsafe(begin(), self._loop).result()
        try:
            while (event := happened.get()) is not end:
                show(event)
            return task.result()
        finally:
            if not task.done():
                signal.signal(signal.SIGINT, self._before[signal.SIGINT])
                self._loop.call_soon_threadsafe(task.cancel)
                while happened.get() is not end:
                    pass
                signal.signal(signal.SIGINT, signal.default_int_handler)

    def run(self, task: Task, show: Emit, *, can_ask: bool) -> Run:
        """Let a model work on a task, and show the events, Notes and Questions; return its run.

        Raises:
            OllamaMCPError: as `Agent.run`.
        """

        async def work(emit: Emit) -> Run:
            async def report(_: float, __: float | None, message: str) -> None:
                emit(Note(message))

            async def agree(step: Step) -> bool:
                question = Question(step)
                emit(question)
                return await asyncio.wrap_future(question.agreed)

            consent: Callable[[Step], Awaitable[bool]] | None = agree if can_ask else None
            run = Run()
            async with (
                Progress(report, "choosing a model") as progress,
                aclosing(self.app.agent.run(task, progress, consent)) as events,
            ):
                async for event in events:
                    emit(event)
                    if isinstance(event, Ended):
                        run = event.run
            return run

        return self.do(work, show)

    async def _live(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self._begun.set()
        await self._over.wait()
        await self.app.aclose()


def _leave(number: int, _: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)
