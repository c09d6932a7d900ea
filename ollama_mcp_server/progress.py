"""Progress notes of one call: often enough that no host gives up, never so many that they cost.

The one who works only says how far it is; a task of its own sends the newest state, at most ten
times a second and at least every few seconds, so a slow reader never holds up the work. Values
strictly increase through all phases (MCP, progress: "MUST increase with each notification"):
a beat that has nothing new adds a thousandth.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from types import TracebackType

import anyio

#: Sends one note: value, total or None, message.
Report = Callable[[float, float | None, str], Awaitable[None]]
#: Asks what a call that has sent nothing yet is waiting for; returns a phase such as "loading".
Look = Callable[[], Awaitable[str]]

SPACING = 0.1  # seconds between two notes, at least
BEAT = 4.0  # seconds between two notes, at most; hosts are promised one every 5 s
FIRST_LOOK = 0.7  # seconds of silence before the daemon is asked what it is doing
NOTES = 10  # notes that are kept until they are told
LOOK = 0.25  # seconds that it has to say so


class Progress:
    """One call's progress, as an async context manager; `update` whenever something happened."""

    def __init__(self, report: Report | None, phase: str, look: Look | None = None) -> None:
        self._report = report
        self._look = look
        self.message = phase
        #: Which part of a longer work the messages are about.
        self.prefix = ""
        #: Returns what there is of the answer, for those who will not wait for all of it.
        self.so_far: Callable[[], str] = str
        self._notes: deque[str] = deque(maxlen=NOTES)
        self._value = 0.0
        self._total: float | None = None
        self._sent = 0.0
        self._changed = asyncio.Event()
        self._pause = FIRST_LOOK
        self._task: asyncio.Task[None] | None = None
        self._around: Progress | None = None

    def update(self, message: str, value: float = 0.0, total: float | None = None) -> None:
        """Say how far the work is; costs nothing where nobody listens."""
        self._look = None  # from now on the work tells by itself
        self.message, self._value, self._total = message, value, total
        self._changed.set()

    def note(self, text: str) -> None:
        """Say what has happened; unlike a state, it is not lost if another follows at once."""
        self._notes.append(text)
        self._changed.set()

    def waits(self, message: str) -> None:
        """Say what the work waits for, before it has begun to tell by itself."""
        self.message, self._pause = message, FIRST_LOOK
        self._changed.set()

    def watch(self, message: str, look: Look) -> None:
        """Say what begins now, and whom to ask what it waits for, should it stay silent."""
        self.message, self._look = message, look

    def direct(self, report: Report | None) -> "Progress":
        """Tell `report` once the work is entered."""
        self._report = report
        return self

    def attach(self, report: Report | None) -> None:
        """Tell `report` from now on, and nobody else."""
        self.detach()
        self._report = report
        if report is not None:
            self._task = asyncio.create_task(self._run(report))

    def detach(self) -> None:
        """Tell nobody any more; the work goes on."""
        self._report = None
        if self._task is not None:
            self._task.cancel()

    async def __aenter__(self) -> "Progress":
        self._around = current.get()
        current.set(self)
        self.attach(self._report)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        current.set(self._around)
        if self._task is None or self._report is None:
            return
        report, task = self._report, self._task
        self.detach()
        # `wait` leaves our own cancellation, should it come now, to rise; awaiting the task and
        # suppressing its CancelledError would swallow it.
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # the client has gone, and the call will learn it too
        if error is None and self._changed.is_set():
            await self._send(report)  # the last state, so that even a short call has one

    async def _run(self, report: Report) -> None:
        current.set(None)  # what is looked at here is not what the call waits for
        while True:
            pause, self._pause = self._pause, BEAT
            # not asyncio.wait_for, which before Python 3.12 can swallow a cancellation
            with anyio.move_on_after(pause):
                await self._changed.wait()
            if not self._changed.is_set() and self._look:
                await self._ask(self._look)
            await self._send(report)
            await asyncio.sleep(SPACING)

    async def _ask(self, look: Look) -> None:
        """Ask what the silent work waits for; a daemon that does not tell stops no beat."""
        with anyio.move_on_after(LOOK):
            phase = await look()
            if self._look is look:  # the work may have begun to tell meanwhile
                self.message = phase

    async def _send(self, report: Report) -> None:
        self._changed.clear()
        self._sent = max(self._value, self._sent + 0.001)
        total = None if self._total is None else max(self._total, self._sent)
        notes = list(self._notes)
        self._notes.clear()
        told = "; ".join([*notes, self.prefix + self.message])
        try:
            await report(self._sent, total, told)
        except asyncio.CancelledError:
            self._notes.extendleft(reversed(notes))
            self._changed.set()  # it may not have been told; the end tells it then
            raise


#: The progress of the call that the code belongs to, for what has no other way to tell it.
current: ContextVar[Progress | None] = ContextVar("progress", default=None)
