"""Mends what can be mended without a choice: starts the daemon, and pulls a small model."""

from __future__ import annotations

import sys
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

import anyio

from ..daemon.catalog import capable
from ..daemon.installed import find_ollama, how_to_install, only_looking, reason_not_to_start
from ..daemon.keeping import Lasting
from ..delegation.recommended import SMALL
from ..delegation.transfer import Transfer
from ..errors import DaemonUnreachable
from ..settings import environment
from ._words import write

if TYPE_CHECKING:
    from ..app import App
    from ._engine import Emit, Engine

#: Seconds that the daemon has to answer, and between two tries.
PATIENCE = 30.0
PAUSE = 0.1


def repair(engine: Engine, *, asks: bool) -> None:
    """Start the daemon if none answers, and pull a model if none chats; each is asked for.

    Raises:
        OllamaMCPError: it could not be done.
    """
    app = engine.app
    if app.client.hosts:
        return  # which of them is to be mended is not for us to say
    if not engine.do(lambda _: answers(app), lambda _: None):
        address = app.settings.address
        if hint := reason_not_to_start("always", address, contained=False):
            write(sys.stderr, f"Ollama at {address.url} cannot be started from here. {hint}.")
            return
        program = find_ollama(environment())
        if program is None:
            write(sys.stderr, f"Ollama is not installed. {how_to_install()}.")
            return
        if not agreed(f"Start Ollama ({program} serve)?", asks=asks):
            return
        engine.do(lambda _: start(app, program), lambda _: None)
        write(sys.stderr, f"Ollama runs at {address.url}; it stays until you end it.")
    if engine.do(lambda _: chats(app), lambda _: None):
        return
    if agreed(f"No installed model chats. Pull {SMALL.name} ({SMALL.download:g} GB)?", asks=asks):
        with Bar() as bar:
            engine.do(lambda emit: pull(app, emit), bar.show)
        write(sys.stderr, f"{SMALL.name} is installed.")


def agreed(question: str, *, asks: bool) -> bool:
    """Return whether the user says yes; always, where nobody is to be asked."""
    if not asks:
        return True
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


async def answers(app: App) -> bool:
    """Return whether the daemon answers."""
    try:
        with only_looking():
            await app.client.request("GET", "/api/version")
    except DaemonUnreachable:
        return False
    return True


async def chats(app: App) -> bool:
    """Return whether an installed model chats."""
    app.catalog.forget()
    return bool(capable(await app.catalog.installed(), "completion"))


async def start(app: App, program: str) -> None:
    """Start a daemon that outlives this command, and wait until it answers.

    Raises:
        DaemonUnreachable: it does not.
    """
    url = app.settings.address.url
    keeping = Lasting({**environment(), "OLLAMA_HOST": url})
    try:
        state = await keeping.ensure(program, anew=True)
    except OSError as error:
        raise DaemonUnreachable(f"{program} cannot be run: {error.strerror}") from error
    end = time.monotonic() + PATIENCE
    while not await answers(app):
        if state == "gone" or time.monotonic() > end:
            raise DaemonUnreachable(
                "Ollama was started, and does not answer",
                f"`{program} serve` in a terminal says why",
            )
        await anyio.sleep(PAUSE)
        state = await keeping.ensure(program, anew=False)


class Far(NamedTuple):
    """How far a pull is: its phase, and bytes."""

    status: str
    done: int
    total: int


async def pull(app: App, emit: Emit) -> None:
    """Pull the small model, and emit how far it is."""
    moved = Transfer()
    body = {"model": SMALL.name, "stream": True}
    async with aclosing(app.client.stream("/api/pull", body)) as parts:
        async for part in parts:
            moved.add(part)
            emit(Far(moved.status, moved.done, moved.total))
    app.catalog.forget()


class Bar:
    """How far a pull is: a bar at a terminal, its phases elsewhere."""

    def __init__(self) -> None:
        self._told = ""
        self._bar: Any = None

    def __enter__(self) -> Bar:
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
            self._bar = Progress(*columns, console=Console(stderr=True))
            self._bar.start()
            self._task = self._bar.add_task(SMALL.name, total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def show(self, far: Far) -> None:
        """Show how far it is."""
        if self._bar is not None:
            self._bar.update(self._task, completed=far.done, total=far.total or None)
        elif far.status != self._told:
            self._told = far.status
            write(sys.stderr, far.status)
