"""A scripted daemon that can do so much and no more: some answers at a time, each as long."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from tests.fake_ollama import FakeOllama, Request

#: Answers at a time, and the seconds of one: 8 a second are all that there can be.
SLOTS = 4
SECONDS = 0.5
ASKED = "/api/chat"


class Bounded(FakeOllama):
    """The scripted daemon, with places as OLLAMA_NUM_PARALLEL gives them."""

    def __init__(self) -> None:
        super().__init__()
        self._places: asyncio.Semaphore | None = None

    async def _answer(self, request: Request, send: Any, transport: asyncio.Transport) -> None:
        if request.path != ASKED:
            await super()._answer(request, send, transport)
            return
        self._places = self._places or asyncio.Semaphore(SLOTS)
        async with self._places:
            await asyncio.sleep(SECONDS)
            await super()._answer(request, send, transport)


def main() -> None:
    """Serve until stdin closes."""
    with Bounded() as daemon:
        print(daemon.url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
