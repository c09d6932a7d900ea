"""Several processes that serve one port: started, replaced and ended together."""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import FrameType

from pydantic import SecretStr

from ..settings import Settings
from .listening import announce, bound

logger = logging.getLogger(__name__)

#: Seconds between the starts of a process and of the one that replaces it, at least.
APART = 2.0
#: A process that ends with one of these statuses, as soon after its start (in seconds), has wrong
#: settings or cannot start, and the next one could not either.
WRONG, SOON = (2, 3), 30.0
#: The status of a server that cannot start, as uvicorn has it.
FAILED = 3
#: Seconds that a process has beyond `shutdown_seconds` to close what is open.
CLOSING = 5.0

Work = Callable[[Settings, socket.socket], None]


def serve_together(settings: Settings, work: Work) -> int:
    """Serve in `settings.workers` processes until a signal; returns the exit status.

    Args:
        settings: how.
        work: what each process does, with the one socket that they listen to.
    """
    if settings.gateway:
        from ..gateway.observability.logs import log_lines

        log_lines(settings.log_level)
    for caution in cautions(settings):
        logger.warning("%s", caution)
    try:
        listener = bound(settings)
    except OSError as error:
        logger.error("cannot serve on %s:%s: %s", settings.host, settings.port, error.strerror)
        return FAILED
    announce(listener, settings.path)
    if settings.request_state_key is None:  # an answer may come to another process than asked
        key = SecretStr(secrets.token_hex(32))
        settings = settings.model_copy(update={"request_state_key": key})
    return Crew(settings, work, listener).run()


def cautions(settings: Settings) -> list[str]:
    """Return what is not as it would be in one process, where a setting can mend it."""
    if settings.keeps_state:
        return []
    return [
        "each process has conversations and jobs of its own, and a request may come to one that "
        "does not know them: set OLLAMA_MCP_STATE_URL, which they share"
    ]


class Crew:
    """The processes, and who watches them."""

    def __init__(self, settings: Settings, work: Work, listener: socket.socket) -> None:
        self._settings = settings
        self._work = work
        self._listener = listener
        self._spawn = multiprocessing.get_context("spawn")  # as on every system
        self._began: dict[BaseProcess, float] = {}
        self._ending: set[BaseProcess] = set()
        self._signal = 0
        self._status = 0

    def run(self) -> int:
        """Keep them running until a signal, then let them end; returns the exit status."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._told)
        for _ in range(self._settings.workers):
            self._start()
        while not self._over:
            wait([process.sentinel for process in self._began], timeout=1)
            for process in [one for one in self._began if not one.is_alive()]:
                self._replace(process)
        self._end()
        return 128 + self._signal if self._signal else self._status

    @property
    def _over(self) -> bool:
        return bool(self._signal or self._status)

    def _start(self) -> None:
        process = self._spawn.Process(
            target=_work, args=(self._work, self._settings, self._listener)
        )
        self._began[process] = time.monotonic()
        process.start()

    def _replace(self, process: BaseProcess) -> None:
        lived = time.monotonic() - self._began.pop(process)
        if self._over:
            return
        logger.error("the process %s has ended with %s", process.pid, process.exitcode)
        if process.exitcode in WRONG and lived < SOON:
            self._status = process.exitcode or FAILED
            return
        time.sleep(max(0.0, APART - lived))
        if not self._over:
            self._start()

    def _told(self, number: int, _: FrameType | None) -> None:
        """Take a signal: the first lets running answers end, the second does not."""
        if self._signal:
            for process in self._began:
                process.kill()
            os._exit(128 + number)
        self._signal = number
        self._tell()

    def _tell(self) -> None:
        """Tell each process once to end: told twice, it would not let its answers end."""
        for process in list(self._began):
            if process.pid is not None and process not in self._ending:
                self._ending.add(process)
                process.terminate()

    def _end(self) -> None:
        self._listener.close()  # theirs are closed by themselves: nobody can connect any more
        self._tell()
        ends = time.monotonic() + self._settings.shutdown_seconds + CLOSING
        for process in self._began:
            process.join(max(0.0, ends - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()


def _work(work: Work, settings: Settings, listener: socket.socket) -> None:
    """Do a process's work; when who started it is gone, it ends too."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    work(settings, listener)


def _end_with_parent() -> None:
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)
