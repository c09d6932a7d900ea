"""Progress notes: none too many, and the last one always."""

from __future__ import annotations

import asyncio

from ollama_mcp_server.progress import Progress


async def test_what_a_slow_client_was_not_told_in_time_is_told_at_the_end() -> None:
    told: list[tuple[float, str]] = []
    stuck = asyncio.Event()

    async def report(value: float, total: float | None, message: str) -> None:
        if message == "writing" and not stuck.is_set():
            stuck.set()
            await asyncio.sleep(60)
        told.append((value, message))

    async with Progress(report, "asking") as progress:
        progress.update("writing", 60)
        await stuck.wait()
    assert told[-1][0] >= 60
    assert told[-1][1] == "writing"


async def test_what_has_happened_is_told_even_if_the_state_changes_at_once() -> None:
    told: list[str] = []

    async def report(value: float, total: float | None, message: str) -> None:
        told.append(message)

    async with Progress(report, "asking") as progress:
        progress.prefix = "round 1: "
        progress.note("fs:read answered")
        progress.update("writing", 1)
    assert told == ["fs:read answered; round 1: writing"]
