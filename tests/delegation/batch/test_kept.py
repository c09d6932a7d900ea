"""Results that are kept for a while."""

from __future__ import annotations

import pytest

from ollama_mcp_server.delegation.batch import kept
from ollama_mcp_server.delegation.batch.kept import Kept
from ollama_mcp_server.errors import NotFound, TooLarge


def test_what_is_kept_comes_back_to_its_owner() -> None:
    store = Kept()
    handle = store.put("long\ntext \ud800", "me")
    assert store.get(handle, "me") == "long\ntext \\ud800"
    with pytest.raises(NotFound):
        store.get(handle, "you")
    with pytest.raises(NotFound):
        store.get("guess", "me")


def test_it_is_kept_for_half_an_hour() -> None:
    now = [0.0]
    store = Kept(lambda: now[0])
    handle = store.put("text", "")
    now[0] = kept.SECONDS - 1
    assert store.get(handle, "") == "text"
    now[0] = kept.SECONDS
    with pytest.raises(NotFound):
        store.get(handle, "")


def test_the_oldest_make_room() -> None:
    store = Kept()
    handles = [store.put(str(number), "") for number in range(kept.MOST + 1)]
    with pytest.raises(NotFound):
        store.get(handles[0], "")
    assert [store.get(handle, "") for handle in handles[1:]] == [
        str(number) for number in range(1, kept.MOST + 1)
    ]
    big = [store.put("x" * (kept.BYTES * 2 // 3), "") for _ in range(2)]
    with pytest.raises(NotFound):
        store.get(big[0], "")
    assert store.get(big[1], "")


def test_what_is_too_large_is_refused_and_costs_nobody_his() -> None:
    store = Kept()
    handle = store.put("text", "")
    with pytest.raises(TooLarge):
        store.put("x" * (kept.BYTES + 1), "")
    assert store.get(handle, "") == "text"
