"""What is kept comes back, for a while."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ollama_mcp_server.delegation.memory.state import State
from tests.delegation.memory.opening import opened


async def round_trip(kept: State) -> None:
    await kept.put("things", {"one": {"n": 1}, "two": {"n": 2}})
    assert await kept.get("things", "one") == {"n": 1}
    assert await kept.get("things", "three") is None
    assert await kept.get("others", "one") is None
    assert await kept.delete("things", "one")
    assert not await kept.delete("things", "one")
    assert await kept.get("things", "one") is None
    assert await kept.get("things", "two") == {"n": 2}
    await kept.aclose()


@pytest.mark.parametrize("url", [None, "memory", "disk"])
async def test_what_is_kept_comes_back(url: str | None, tmp_path: Path) -> None:
    await round_trip(opened(url, tmp_path))


@pytest.mark.parametrize("url", [None, "disk"])
async def test_entries_expire(url: str | None, tmp_path: Path) -> None:
    kept = opened(url, tmp_path, lasts=0.05)
    await kept.put("things", {"one": {"n": 1}})
    await asyncio.sleep(0.1)
    assert await kept.get("things", "one") is None
