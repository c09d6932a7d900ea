"""Work that takes a while, and what it waits for in a line that goes again."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..progress import Progress
from ._engine import Emit, Engine, Note
from ._plain import Plain

T = TypeVar("T")


def watched(engine: Engine, work: Callable[[Progress], Awaitable[T]], phase: str) -> T:
    """Return what comes of `work`; at a terminal, stderr shows meanwhile what it waits for.

    Raises:
        KeyboardInterrupt: the user has stopped it.
    """

    async def whole(emit: Emit) -> T:
        async def report(_: float, __: float | None, message: str) -> None:
            emit(Note(message))

        emit(Note(phase))
        async with Progress(report, phase) as progress:
            return await work(progress)

    if not sys.stderr.isatty():
        return engine.do(whole, Plain(quiet=True).show)
    from rich.console import Console

    from ._terminal import Terminal

    screen = Terminal(Console(stderr=True, highlight=False))
    try:
        return engine.do(whole, screen.show)
    finally:
        screen.close()
