"""The installed daemon, started when it is first needed and none answers.

It is one for all servers of this user, and the last one that uses it ends it. One that runs
already is never touched. Nothing is started for those who only look: lists, menus and probes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import anyio
import httpx

from ..errors import DaemonUnreachable, unreachable
from ..progress import current
from .installed import find_ollama, how_to_install, only_looks, why_it_ended
from .keeping import keeping_of

#: Seconds that a daemon has to answer once it is started; it takes 0.2 on an idle machine.
PATIENCE = 30.0
#: Seconds between two tries.
PAUSE = 0.05
STARTING = "starting Ollama"

Ask = Callable[[], Awaitable[httpx.Response]]


class Starting:
    """The daemon at one loopback address, as it is started and shared."""

    def __init__(self, url: str, environment: Mapping[str, str], folder: Path) -> None:
        """Start nothing yet.

        Args:
            url: where the daemon is to listen.
            environment: what it gets, with its own OLLAMA_HOST.
            folder: where the servers of this user keep what they share.
        """
        self.url = url
        self._folder = folder
        self._environment = {**environment, "OLLAMA_HOST": url}
        self._keeping = keeping_of(url, self._environment, folder)

    def leave(self) -> None:
        """Use the daemon no longer; it ends if nobody else does."""
        self._keeping.leave()

    async def answer(self, ask: Ask, probe: Ask) -> httpx.Response:
        """Return what the daemon answers; it is started if nothing answers.

        A start that is waited for no longer goes on for the next.

        Args:
            ask: sends the request.
            probe: sends one that changes nothing.

        Raises:
            DaemonUnreachable: it is not installed, cannot be started, or takes too long.
        """
        await self._keeping.join()
        try:
            return await ask()
        except httpx.ConnectError:
            if only_looks.get():
                raise
        program = find_ollama(self._environment)
        if program is None:
            raise DaemonUnreachable(
                f"nothing answers at {self.url}, and Ollama is not installed here",
                f"{how_to_install()}; then call again. If it runs elsewhere, set OLLAMA_HOST",
            )
        with _told(f"Ollama does not run; {STARTING} ({program})"):
            await self._start(program, probe)
        return await ask()

    async def _start(self, program: str, probe: Ask) -> None:
        """Start the daemon, and wait until it answers."""
        deadline = time.monotonic() + PATIENCE
        was_started = False
        while True:
            try:
                state = await self._keeping.ensure(program, anew=not was_started)
            except OSError as error:
                raise self._failed(f"{error.filename or program}: {error.strerror}") from error
            was_started = was_started or state == "started"
            await anyio.sleep(PAUSE)
            try:
                with anyio.fail_after(deadline - time.monotonic()):
                    await probe()
                return
            except httpx.TransportError as error:  # a daemon that fails may have begun to listen
                if state == "gone":  # but another daemon may have taken its place just now
                    raise self._failed(why_it_ended(self._keeping.said())) from error
            except TimeoutError as error:
                raise self._failed(f"it did not answer within {PATIENCE:g} s") from error

    def _failed(self, reason: str) -> DaemonUnreachable:
        if "address already in use" in reason:
            return DaemonUnreachable(
                f"Ollama cannot be started: another program holds {self.url}, and does not answer",
                "End that program, or set OLLAMA_HOST to another port",
            )
        error = unreachable(self.url, f"`ollama serve` in a terminal shows more than {self._log}")
        error.message += f", and Ollama cannot be started: {reason or 'it ended at once'}"
        return error

    @property
    def _log(self) -> str:
        return f"the log in {self._folder}" if os.name == "posix" else "this server"


class Way(httpx.AsyncBaseTransport):
    """A way to a daemon that is started when nothing answers."""

    def __init__(self, starting: Starting, under: httpx.AsyncBaseTransport) -> None:
        """Start what is to be reached by the transport `under`."""
        self._starting = starting
        self._under = under

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; nothing of it has been sent while nothing answers."""

        async def probe() -> httpx.Response:
            version = httpx.Request("GET", f"{self._starting.url}/api/version")
            response = await self._under.handle_async_request(version)
            await response.aread()
            return response

        return await self._starting.answer(lambda: self._under.handle_async_request(request), probe)

    async def aclose(self) -> None:
        """Close the connections, and use the daemon no longer."""
        await self._under.aclose()
        self._starting.leave()


@contextmanager
def _told(note: str) -> Iterator[None]:
    """Tell the call that is under way, if one is, what it waits for."""
    progress = current.get()
    if progress is None:
        yield
        return
    before = progress.message
    progress.note(note)
    progress.waits(STARTING)
    try:
        yield
    finally:
        if progress.message == STARTING:
            progress.message = before
