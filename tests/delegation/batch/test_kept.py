"""Results that are kept for a while."""

from __future__ import annotations

import pytest

from ollama_mcp_server.delegation.batch import kept
from ollama_mcp_server.delegation.batch.kept import Kept
from ollama_mcp_server.errors import NotFound, TooLarge


async def test_what_is_kept_comes_back_to_its_owner() -> None:
    store = Kept()
    handle = await store.put("long\ntext \ud800", "me")
    assert await store.get(handle, "me") == "long\ntext \\ud800"
    with pytest.raises(NotFound):
        await store.get(handle, "you")
    with pytest.raises(NotFound):
        await store.get("guess", "me")


async def test_it_is_kept_for_half_an_hour() -> None:
    now = [0.0]
    store = Kept(clock=lambda: now[0])
    handle = await store.put("text", "")
    now[0] = kept.SECONDS - 1
    assert await store.get(handle, "") == "text"
    now[0] = kept.SECONDS
    with pytest.raises(NotFound):
        await store.get(handle, "")


async def test_the_oldest_make_room() -> None:
    store = Kept()
    handles = [await store.put(str(number), "") for number in range(kept.MOST + 1)]
    with pytest.raises(NotFound):
        await store.get(handles[0], "")
    assert [await store.get(handle, "") for handle in handles[1:]] == [
        str(number) for number in range(1, kept.MOST + 1)
    ]
    big = [await store.put("x" * (kept.BYTES * 2 // 3), "") for _ in range(2)]
    with pytest.raises(NotFound):
        await store.get(big[0], "")
    assert await store.get(big[1], "")


async def test_what_is_too_large_is_refused_and_costs_nobody_his() -> None:
    store = Kept()
    handle = await store.put("text", "")
    with pytest.raises(TooLarge):
        await store.put("x" * (kept.BYTES + 1), "")
    assert await store.get(handle, "") == "text"
